//! One contract, every store: the same claims are tried on each.
//!
//! A claim is a function of `tests/contract/`, generic over the store; the list below makes a test
//! of each for every store. A claim that is missing here is dead code, which the lints report.

mod contract;
mod support;

use contract::{ground, world::World};

/// Makes a test of every claim, on a fresh `$ground` each.
macro_rules! store_contract {
    ($store:ident, $ground:expr) => {
        mod $store {
            use super::*;

            claims! { $ground =>
                namespace: [
                    the_first_settings_stand,
                    the_last_word_on_an_agent_counts,
                    an_agent_has_no_second_home_while_members_that_are_alive_serve_it_in_the_first,
                    an_agent_moves_when_the_last_member_that_served_it_has_left,
                    members_are_seen_until_their_time_is_over_or_they_retire,
                ],
                sending: [
                    a_first_message_makes_its_session,
                    messages_are_numbered_and_kept_in_the_order_of_their_acceptance,
                    a_message_is_kept_as_it_was_given,
                    the_message_accepted_last_is_a_repeat_and_adds_nothing,
                    an_id_is_the_same_message_whatever_else_differs,
                    an_id_counts_for_one_session_only,
                    an_id_is_forgotten_after_a_day_and_not_before,
                    a_repeat_by_id_gets_the_answer_that_is_there,
                    a_repeat_by_id_waits_for_an_answer_that_is_not_there,
                    at_most_a_hundred_wait_for_one_answer,
                    a_full_inbox_refuses_whatever_pool_is_named,
                    a_stopped_session_refuses_all_but_repeats,
                    a_message_for_another_pool_changes_nothing,
                    a_session_of_a_newer_version_is_an_error_and_left_alone,
                    a_group_counts_at_the_making_and_resume_at_any_time,
                    an_owner_is_woken_by_the_first_message_of_its_inbox_only,
                    the_first_message_to_a_session_that_nobody_owns_is_offered,
                    mail_for_a_session_that_may_not_run_makes_it_neither_ready_nor_offered,
                    an_answer_is_kept_for_another_day_under_the_id_that_still_stands_for_it,
                ],
                asking: [
                    what_a_message_asks_for_stays_with_it_until_it_is_done,
                    a_wake_tells_what_its_message_asks_for,
                    what_is_relayed_keeps_what_it_asks_for,
                    a_letter_keeps_what_its_message_asked_for_and_asks_again,
                    a_message_that_asks_for_nothing_is_one_that_asks_for_memory,
                ],
                quarantine: [
                    each_death_with_work_in_hand_is_written_down_by_the_claim_after_it,
                    a_death_that_only_the_claim_notices_is_written_down_as_well,
                    a_commit_clears_the_crashes,
                    a_suspect_is_left_to_wait_behind_the_others_by_who_owns_another,
                    one_death_makes_no_suspect,
                    a_suspect_that_is_handed_off_is_still_one,
                    a_suspect_whose_death_only_the_claim_notices_is_left_ready,
                    a_claimants_own_suspect_is_granted_again_to_the_same_claim_only,
                    the_third_death_quarantines_and_keeps_the_mail,
                    a_freed_session_goes_on_as_if_nothing_had_happened,
                    a_session_freed_without_its_first_message_says_which_that_was,
                    what_is_quarantined_and_still_owned_is_not_freed,
                    what_is_not_quarantined_elsewhere_or_absent_is_not_freed,
                    a_freed_session_without_mail_is_not_ready,
                ],
                offering: [
                    the_least_loaded_worker_is_told_and_counts_one_session_more,
                    ties_fall_by_name,
                    those_who_do_not_hear_are_taken_out_of_idle_three_at_a_time,
                    whom_an_offer_leaves_out_is_not_told_and_not_counted,
                    an_offer_stays_within_its_pool_and_agent,
                    a_session_that_left_ready_is_not_offered,
                ],
                leases: [
                    joining_and_renewing_set_the_deadline_one_lease_away,
                    who_never_joined_cannot_renew,
                    neither_joining_nor_renewing_brings_back_the_buried,
                    a_worker_counts_as_alive_up_to_its_deadline,
                    a_load_is_shown_for_each_agent_and_taken_away_without_room,
                    a_full_agent_is_not_offered_though_its_worker_has_room,
                    the_duty_is_one_workers_until_its_deadline_passes,
                    the_duty_of_the_dead_is_free_a_lease_after_the_clock_went_back,
                    the_duty_is_given_up_by_its_holder_only,
                    a_yielded_duty_stays_with_its_holder_until_another_wants_it,
                    who_yields_a_duty_may_keep_it_after_all,
                    only_a_passed_deadline_or_its_own_wish_buries_a_worker,
                    a_burial_by_deadline_holds_only_while_the_server_is_as_the_caller_reckons,
                    whoever_vouches_for_a_death_buries_a_worker_within_its_deadline,
                    who_is_buried_is_told_so_once_unless_it_was_its_own_wish,
                    who_listens_is_there_until_its_listener_is_gone,
                    a_worker_that_listens_hears_that_it_is_to_drain,
                    a_burial_frees_the_duty_and_ends_offers_but_not_others,
                    a_worker_is_buried_in_one_partition_and_lives_on_in_others,
                    held_lists_what_a_worker_owns_in_a_partition,
                ],
                claiming: [
                    a_claimant_that_is_buried_or_unknown_is_lost_before_all_else,
                    a_claimant_past_its_deadline_but_not_buried_is_fine,
                    a_session_that_is_not_there_is_absent_and_leaves_ready,
                    a_session_of_a_newer_version_leaves_ready_and_is_left_alone,
                    a_claim_hands_out_all_that_is_needed_to_start,
                    a_claim_sets_own_and_held_and_leaves_ready,
                    own_lapses_after_its_time_and_the_owner_stays_the_owner,
                    a_claim_with_the_same_nonce_gets_the_same_lease_again,
                    a_session_of_another_pool_is_not_claimed,
                    an_owner_within_its_deadline_keeps_its_session,
                    an_owner_past_its_deadline_is_buried_by_a_claim_unless_it_is_spared,
                    an_owner_past_its_deadline_is_spared_where_the_server_is_not_as_the_claimant_reckons,
                    an_owner_that_is_buried_or_unknown_is_as_good_as_none,
                    a_claim_supersedes_the_claimants_own_older_one_even_with_nothing_to_run,
                    a_session_with_nothing_to_run_is_not_claimed_and_leaves_ready,
                    a_dead_owner_of_a_session_with_nothing_to_run_is_cleared_and_nothing_crashed,
                    an_epoch_is_the_claims_time_greater_than_the_last_and_not_before_what_was_seen,
                    a_session_made_again_gets_no_epoch_before_what_the_claimant_saw,
                    what_was_lost_of_a_session_can_be_written_down_where_there_is_nothing_to_run,
                    a_hand_off_is_no_crash,
                ],
                releasing: [
                    a_session_with_nothing_to_run_is_given_back,
                    a_session_with_something_to_run_is_kept,
                    a_session_whose_mail_must_wait_may_be_given_back,
                    a_session_handed_off_is_ready_and_offered_to_another,
                    an_idle_session_handed_off_is_not_ready,
                    a_repeated_release_is_released_until_somebody_claims,
                    nobody_gives_back_what_another_has_or_what_is_gone,
                    a_refresh_lengthens_own_or_sets_it_again,
                    a_refresh_by_another_than_the_owner_is_fenced,
                ],
                reaping: [
                    nothing_is_taken_from_a_worker_that_is_not_buried,
                    a_runnable_session_of_the_buried_is_orphaned_ready_and_offered,
                    an_idle_session_of_the_buried_is_neither_orphaned_nor_ready,
                    a_session_that_waits_for_its_time_is_reaped_and_not_run,
                    what_is_not_theirs_any_more_only_leaves_their_list,
                    a_repeated_reap_takes_nothing,
                    a_worker_that_the_partition_forgot_counts_as_buried,
                    a_session_of_another_pool_than_named_is_not_reaped,
                    an_orphan_that_goes_through_more_hands_counts_each_death_once,
                ],
                unfinished: [
                    an_eager_session_of_the_dead_is_ready_before_others_whatever_its_agent,
                    a_boundary_in_the_middle_keeps_its_message_and_is_known_to_the_next_owner,
                    a_server_that_lost_a_boundary_is_behind,
                    a_boundary_of_a_turn_whose_message_is_not_at_the_head_is_behind,
                    a_failed_run_keeps_the_boundaries_before_it,
                    an_eager_turn_in_the_middle_is_ready_when_its_owner_is_dead,
                    a_lazy_turn_in_the_middle_is_suspended_when_its_owner_is_dead,
                    a_sessions_own_policy_is_over_its_agents,
                    a_lazy_message_without_a_boundary_is_mail,
                    a_lazy_turn_with_mail_behind_it_does_not_wait_for_more,
                    a_death_that_only_the_claim_notices_suspends_as_well,
                    a_hand_off_in_the_middle_is_no_death,
                    an_owners_own_newer_claim_is_no_death,
                    the_next_message_is_a_word_and_comes_after_the_turn,
                    a_refused_or_repeated_message_is_no_word,
                    a_dead_letter_that_is_sent_again_is_a_word,
                    a_suspended_session_that_is_told_to_goes_on_once,
                    what_is_not_suspended_elsewhere_or_absent_is_not_told_to_go_on,
                    a_turn_that_backs_off_waits_for_both,
                    a_timer_that_fires_is_no_word,
                    mending_neither_wakes_nor_forgets_what_is_suspended,
                    a_session_set_aside_in_the_middle_goes_on_there_when_it_is_freed,
                    a_suspended_session_is_deleted_like_any_other,
                ],
                turns: [
                    a_boundary_is_written_whole,
                    entries_are_numbered_on_over_turns_and_epochs,
                    a_boundary_needs_no_message,
                    a_repeated_commit_writes_nothing_twice,
                    a_repeated_commit_is_done_also_for_an_owner_fenced_or_buried_since,
                    a_writer_that_is_buried_or_unknown_is_lost,
                    a_superseded_owner_is_fenced_and_changes_nothing,
                    an_owner_who_gave_its_session_back_is_fenced,
                    an_owner_of_a_deleted_session_is_fenced,
                    a_live_owner_is_not_robbed_when_own_is_deleted_by_hand,
                    a_server_with_other_entries_or_another_head_is_behind_and_left_alone,
                    a_head_whose_record_cannot_be_read_is_never_acknowledged,
                    a_head_whose_body_cannot_be_read_can_be_given_up_on,
                    a_state_is_kept_set_or_cleared,
                    a_failed_run_waits_in_timers_and_the_next_boundary_ends_the_wait,
                    a_quarantined_session_keeps_its_mail_and_is_not_ready,
                    a_message_given_up_on_goes_to_dead_and_is_answered,
                    an_answer_stands_in_out_and_under_its_id,
                    the_reaped_are_fenced_before_anybody_claims,
                ],
                upkeep: [
                    a_wait_ends_when_its_time_has_come_and_not_before,
                    an_owner_is_woken_when_its_wait_ends,
                    a_session_without_owner_is_ready_and_offered_when_its_wait_ends,
                    firing_names_the_right_pool_or_changes_nothing,
                    a_timer_that_stands_for_no_wait_is_put_right_when_it_is_fired,
                    a_survey_gives_due_timers_in_order_of_their_time,
                    a_survey_tells_overdue_from_buried_and_both_from_living_workers,
                    a_deadline_further_away_than_its_lease_is_cut_to_that,
                    the_buried_are_forgotten_after_a_day,
                    a_survey_changes_nothing_else,
                    a_survey_gives_ready_sessions_oldest_first_where_somebody_has_room,
                    replies_are_left_to_their_writer_for_half_a_second_while_it_lives,
                    a_reply_from_before_the_clock_went_back_is_left_to_nobody,
                    what_a_door_answers_is_left_to_nobody,
                    a_session_that_agrees_with_its_indexes_is_fine,
                    a_runnable_session_that_nobody_owns_goes_back_into_ready,
                    a_session_that_is_owned_or_may_not_run_leaves_ready,
                    timers_are_made_to_agree_both_ways,
                    held_and_the_index_get_back_what_they_lost,
                    an_owner_whose_own_is_missing_is_woken,
                    a_session_of_the_buried_is_an_orphan_and_left_to_the_reap,
                    mending_by_a_wrong_idea_changes_nothing_and_gives_the_right_one,
                    a_session_never_claimed_moves_home_and_a_claimed_one_stays,
                    a_session_that_is_gone_leaves_the_indexes,
                ],
                relaying: [
                    a_batch_is_taken_in_order_and_moves_the_cursor,
                    a_batch_after_another_entry_than_the_last_taken_is_not_taken,
                    the_cursor_never_goes_back,
                    what_cannot_be_read_goes_to_dead_and_holds_up_nobody,
                    what_a_session_refuses_goes_to_dead_with_an_error_for_its_sender,
                    a_batch_that_names_another_pool_is_not_taken_at_all,
                    an_id_seen_before_is_a_repeat_at_the_plain_door_too,
                    who_must_know_of_relayed_messages_is_told,
                    each_door_has_a_cursor_of_its_own_in_each_partition,
                    an_id_that_came_by_one_door_is_a_repeat_at_another,
                    the_plain_door_gives_its_oldest_entries_as_they_were_posted,
                    the_plain_door_remembers_its_last_id_when_it_is_empty,
                    the_plain_door_can_be_moved_forward_and_never_back,
                    plain_doors_know_nothing_of_one_another,
                    whoever_waits_at_the_plain_door_sees_the_first_entry,
                ],
                delivering: [
                    replies_are_pushed_in_order_and_taken_once,
                    a_repeated_delivery_pushes_nothing_again,
                    a_repeated_delivery_leaves_the_time_of_its_list_as_it_was,
                    what_its_writer_delivered_nobody_delivers_again,
                    a_reply_waits_an_hour_from_the_last_push_to_its_key,
                    a_key_that_takes_no_reply_puts_it_into_dead_and_holds_up_no_other,
                    whoever_waits_for_a_reply_gets_it,
                    a_wait_for_a_reply_that_is_given_up_takes_none,
                ],
                reading: [
                    a_look_sees_a_session_as_it_stands,
                    sessions_are_listed_in_pages_by_their_ids,
                    a_history_is_given_oldest_first_whatever_part_is_asked_for,
                    a_session_that_is_not_there_has_no_history,
                    whoever_follows_a_history_sees_the_next_entry,
                ],
                letters: [
                    dead_letters_are_listed_in_pages_oldest_first,
                    a_letter_sent_again_is_a_message_of_its_own_without_its_id,
                    a_repeated_revival_adds_nothing,
                    a_letter_that_is_refused_stays,
                    a_letter_without_a_session_cannot_be_sent_again,
                    dropped_letters_are_counted_and_gone,
                ],
                deleting: [
                    a_deleted_session_leaves_nothing_but_its_dead_letters,
                    all_who_wait_for_deleted_mail_are_told,
                    an_id_that_was_answered_stays_known_after_a_deletion,
                    more_mail_than_a_page_takes_more_calls_and_refuses_and_fences_from_the_first,
                    a_deleted_session_is_made_anew_by_its_next_message,
                    indexes_that_a_wrong_idea_missed_are_left_to_later,
                ],
            }
        }
    };
}

/// The claims about sizes, which are those of what is stored.
macro_rules! sizes_contract {
    ($store:ident, $ground:expr) => {
        mod $store {
            use super::*;

            claims! { $ground =>
                sending: [
                    a_body_over_the_limit_is_refused_unless_it_repeats_an_id,
                    a_wake_carries_a_record_of_one_kibibyte_and_no_longer_one,
                ],
            }
        }
    };
}

/// The claims about replies whose list is where their session is.
macro_rules! at_once_contract {
    ($store:ident, $ground:expr) => {
        mod $store {
            use super::*;

            claims! { $ground =>
                at_once: [
                    a_reply_is_in_its_list_with_the_commit_and_never_in_out,
                    a_repeated_commit_pushes_its_reply_once,
                    a_commit_that_is_not_written_pushes_nothing,
                    a_reply_pushed_with_its_commit_waits_an_hour_from_the_last_one,
                    a_key_that_takes_no_push_leaves_the_reply_in_out_and_then_in_dead,
                    who_asked_again_gets_the_reply_through_out_and_who_sent_it_at_once,
                    an_error_in_place_of_a_reply_is_pushed_as_well,
                    whoever_waits_for_a_reply_gets_it_with_the_commit,
                ],
            }
        }
    };
}

macro_rules! claims {
    ($ground:expr => $($module:ident: [$($claim:ident),* $(,)?],)*) => {
        $(mod $module {
            use super::*;

            $(#[tokio::test]
            async fn $claim() {
                contract::$module::$claim(World::on($ground.await)).await;
            })*
        })*
    };
}

store_contract!(memory, ground::Memory::start());
store_contract!(simulated, ground::Simulated::start());
store_contract!(under_seal, ground::UnderSeal::start());
store_contract!(redis, contract::on_redis::OnRedis::start());
store_contract!(cluster, contract::on_redis::OnRedis::start_clustered());
at_once_contract!(memory_at_once, ground::Memory::start());
at_once_contract!(simulated_at_once, ground::Simulated::start());
at_once_contract!(under_seal_at_once, ground::UnderSeal::start());
at_once_contract!(redis_at_once, contract::on_redis::OnRedis::start());
at_once_contract!(cluster_at_once, contract::on_redis::OnRedis::start_clustered());
/// Stores that believe to have replicas, without any server.
macro_rules! classes_contract {
    ($store:ident, $ground:expr) => {
        mod $store {
            use super::*;

            claims! { $ground => at_once: [a_reply_at_any_other_class_is_left_in_out], }
        }
    };
}

classes_contract!(memory_classes, ground::Memory::start());
classes_contract!(simulated_classes, ground::Simulated::start());
classes_contract!(under_seal_classes, ground::UnderSeal::start());
sizes_contract!(memory_sizes, ground::Memory::start());
sizes_contract!(simulated_sizes, ground::Simulated::start());
sizes_contract!(redis_sizes, contract::on_redis::OnRedis::start());
