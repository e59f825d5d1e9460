# The image of a tenure worker. It serves the built-in `echo` agent as it is; your own agents
# need their file and what their commands run, so build upon it:
#
#   FROM tenure
#   COPY agents.toml /etc/tenure/
#   CMD ["worker", "--agents", "/etc/tenure/agents.toml"]

FROM rust:1-slim-bookworm AS build
WORKDIR /src
COPY . .
RUN cargo build --release --locked --bin tenure

FROM debian:bookworm-slim
RUN useradd --uid 10001 --create-home --shell /usr/sbin/nologin tenure
COPY --from=build /src/target/release/tenure /usr/local/bin/tenure
USER tenure
WORKDIR /home/tenure
# SIGTERM drains: turns that run are finished, sessions are handed over.
STOPSIGNAL SIGTERM
ENTRYPOINT ["tenure"]
CMD ["worker"]
