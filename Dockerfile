# The runtime packages come from requirements.lock, every one checked against its hash.
FROM python:3.11-slim AS build
WORKDIR /srv/harmline
RUN python -m venv .venv
COPY requirements-uv.lock requirements.lock ./
RUN .venv/bin/pip install --no-cache-dir --require-hashes -r requirements-uv.lock \
 && .venv/bin/uv pip install --no-cache --compile-bytecode --require-hashes -r requirements.lock
COPY pyproject.toml README.md LICENSE alembic.ini ./
COPY app app
COPY connectors connectors
COPY migrations migrations
RUN .venv/bin/uv pip install --no-cache --no-deps -e . \
 && .venv/bin/pip uninstall --yes uv pip

FROM python:3.11-slim
# Backups of PostgreSQL need its client: docker build --build-arg WITH=postgresql-client-17
ARG WITH=""
RUN if [ -n "$WITH" ]; then \
      apt-get update && apt-get install --yes --no-install-recommends $WITH && rm -rf /var/lib/apt/lists/*; fi
RUN useradd --system --uid 10001 --home-dir /var/lib/harmline --create-home harmline
COPY --from=build /srv/harmline /srv/harmline
WORKDIR /var/lib/harmline
USER harmline
ENV PATH=/srv/harmline/.venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    HARMLINE_HOST=0.0.0.0 \
    HARMLINE_PORT=8000 \
    HARMLINE_DATABASE_URL=sqlite:////var/lib/harmline/harmline.db \
    HARMLINE_KEY_FILE=/var/lib/harmline/keys/top.key \
    HARMLINE_DOOR_KEY_FILE=/var/lib/harmline/keys/door.key
VOLUME /var/lib/harmline
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s \
  CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/livez', timeout=4)"]
CMD ["harmline", "serve"]
