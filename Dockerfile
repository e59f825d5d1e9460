# The image of a tenure worker, serving the built-in `echo` agent. For agents of your own, build your worker's
# binary in the same way.

FROM rust:1-slim-bookworm AS build
WORKDIR /src
COPY . .
RUN cargo build --release --locked --bin tenure

FROM debian:bookworm-slim
# Whom to trust where an agent is an https address.
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates && rm -rf /var/lib/apt/lists/*
RUN useradd --uid 10001 --create-home --shell /usr/sbin/nologin tenure
COPY --from=build /src/target/release/tenure /usr/local/bin/tenure
USER tenure
WORKDIR /home/tenure
# Where a worker tells how it is; `tenure health` asks there. Another address is `-e TENURE_HEALTH=…`.
ENV TENURE_HEALTH=0.0.0.0:8080
EXPOSE 8080
HEALTHCHECK --interval=5s --timeout=3s --start-period=15s CMD ["tenure", "health", "--timeout", "2s"]
# SIGTERM drains: turns that run are finished, sessions are handed over.
STOPSIGNAL SIGTERM
ENTRYPOINT ["tenure"]
CMD ["worker"]
