# Both services in one image; the command says which one a container is:
#
#   tocsin-exporter run --config.file=/etc/tocsin/exporter.yml --web.listen-address=0.0.0.0:9970 --storage.path=/var/lib/tocsin
#   tocsin-receiver run --config.file=/etc/tocsin/receiver.yml --web.listen-address=0.0.0.0:9971 --storage.path=/var/lib/tocsin
#
# docker-compose.yml shows what each needs around it; docs/operations.md tells the rest.

FROM python:3.12.13-slim AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /opt/tocsin
WORKDIR /src
# The dependencies first: they change less often than the code, so this layer is kept.
COPY requirements.lock ./
RUN /opt/tocsin/bin/pip install --no-deps --require-hashes -r requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY exporter ./exporter
COPY receiver ./receiver
COPY toolkit ./toolkit
# With what PostgreSQL needs, for receivers that share one; the lock has it too.
RUN /opt/tocsin/bin/pip install --no-deps --no-build-isolation '.[postgres]'

FROM python:3.12.13-slim
# A fixed number, so that a volume keeps its owner from one image to the next.
RUN groupadd --gid 10001 tocsin \
 && useradd --uid 10001 --gid tocsin --no-create-home --home-dir /var/lib/tocsin --shell /usr/sbin/nologin tocsin \
 && install -d -o tocsin -g tocsin -m 700 /var/lib/tocsin
COPY --from=build /opt/tocsin /opt/tocsin
ENV PATH=/opt/tocsin/bin:$PATH PYTHONUNBUFFERED=1
USER 10001:10001
WORKDIR /var/lib/tocsin
EXPOSE 9970 9971
# A container is one of the two, so one of the ports answers. Over TLS this needs a check of your own.
HEALTHCHECK --interval=15s --timeout=10s --start-period=30s --retries=3 \
  CMD for port in 9970 9971; do \
        python -c "import urllib.request as u; u.urlopen('http://127.0.0.1:$port/-/ready', timeout=3)" 2>/dev/null && exit 0; \
      done; exit 1
