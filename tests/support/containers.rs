//! A Redis in a container, for the few tests that want what a process cannot give.
//!
//! The image is `TENURE_TEST_IMAGE`, default `redis:8`; `scripts/test` settles on one that can be
//! had. With `TENURE_TEST_CONTAINERS=0` these tests are not run, and say so.

use std::time::Duration;

use bollard::Docker;
use testcontainers::core::{IntoContainerPort, WaitFor};
use testcontainers::runners::AsyncRunner;
use testcontainers::{ContainerAsync, GenericImage, ImageExt};

use super::not_run;
use super::port;
use super::wait::eventually;

const REDIS_PORT: u16 = 6379;
const READY_WITHIN: Duration = Duration::from_secs(60);

/// Whether container tests run here. Prints a line when they do not, and counts the test as not
/// run in the file `TENURE_TEST_NOT_RUN`, where there is one.
pub fn wanted() -> bool {
    if std::env::var("TENURE_TEST_CONTAINERS").as_deref() != Ok("0") {
        return true;
    }
    not_run::note("TENURE_TEST_CONTAINERS=0");
    false
}

/// A running Redis with an append-only file, on a port that stays the same over its restarts.
pub struct RedisContainer {
    container: ContainerAsync<GenericImage>,
    docker: Docker,
    port: u16,
}

impl RedisContainer {
    /// A server that takes part in nothing else; the container goes with the fixture.
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// The same with more arguments for `redis-server`.
    pub async fn start_with(args: &[&str]) -> Self {
        let image = redis_image();
        let (name, tag) = image.rsplit_once(':').unwrap_or((&image, "latest"));
        let port = port::free();
        let always = ["--protected-mode", "no", "--appendonly", "yes"];
        let container = GenericImage::new(name, tag)
            .with_wait_for(WaitFor::message_on_stdout("Ready to accept connections"))
            .with_mapped_port(port, REDIS_PORT.tcp())
            .with_label("tenure.test", "1")
            .with_cmd(always.iter().chain(args).copied())
            .with_startup_timeout(READY_WITHIN)
            .start()
            .await
            .unwrap_or_else(|err| {
                panic!(
                    "cannot start a container of {image}: {err}\n\
                     `scripts/test` sees to Docker and the image; \
                     TENURE_TEST_CONTAINERS=0 leaves these tests out"
                )
            });
        let docker = Docker::connect_with_local_defaults().expect("it was there just now");
        let redis = Self { container, docker, port };
        redis.answers().await;
        redis
    }

    /// Where clients connect.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Where other containers connect.
    pub async fn url_in_network(&self) -> String {
        let seen = self.docker.inspect_container(self.container.id(), None).await.expect("it is there");
        let networks = seen.network_settings.and_then(|settings| settings.networks).unwrap_or_default();
        let address = networks.into_values().find_map(|network| network.ip_address);
        format!("redis://{}:{REDIS_PORT}", address.expect("it is in Docker's own network"))
    }

    /// A client of this server.
    pub fn client(&self) -> redis::Client {
        redis::Client::open(self.url()).expect("the fixture makes good addresses")
    }

    /// Freezes the container: connections stay open and nothing answers.
    pub async fn pause(&self) {
        self.container.pause().await.expect("a running container can be paused");
    }

    /// Lets it go on.
    pub async fn unpause(&self) {
        self.container.unpause().await.expect("a paused container can be unpaused");
    }

    /// Ends the server with `SIGKILL`; the container stays and can be restarted.
    pub async fn kill(&self) {
        let id = self.container.id();
        self.docker.kill_container(id, None).await.expect("a running container can be killed");
        eventually("the container is dead", READY_WITHIN, async || {
            !self.container.is_running().await.expect("Docker answers")
        })
        .await;
    }

    /// Starts the killed server again, with what its append-only file holds.
    pub async fn restart(&self) {
        self.container.start().await.expect("a dead container can be started");
        self.answers().await;
    }

    async fn answers(&self) {
        eventually("the containerised server answers", READY_WITHIN, async || {
            let Ok(mut conn) = self.client().get_multiplexed_async_connection().await else {
                return false;
            };
            redis::cmd("PING").exec_async(&mut conn).await.is_ok()
        })
        .await;
    }
}

/// The image of Redis that tests use.
pub fn redis_image() -> String {
    std::env::var("TENURE_TEST_IMAGE").unwrap_or_else(|_| "redis:8".to_owned())
}
