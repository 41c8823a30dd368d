# syntax=docker/dockerfile:1
# Two images: `server` (page, signaling, API; without a browser) and `worker` (headless Chromium that lends this machine's GPU).
#   docker build --target server -t shoal .        docker build --target worker -t shoal-worker .
# compose.yaml runs both; docs/deploy.md says how.

ARG NODE=node:20-bookworm-slim

# The npm package, made from this checkout: what is installed below is what `npm install -g` would install.
FROM ${NODE} AS build
WORKDIR /src
COPY package.json package-lock.json .npmrc ./
# Scripts of packages are not needed, and not run.
RUN npm ci --ignore-scripts
COPY . .
# Shown by `shoal --version`; the context has no .git. docker build --build-arg COMMIT=$(git rev-parse --short=12 HEAD)
ARG COMMIT=""
RUN SHOAL_COMMIT="$COMMIT" npm pack --pack-destination /tmp && mv /tmp/shoal*.tgz /tmp/shoal.tgz

FROM ${NODE} AS server
ENV NODE_ENV=production NPM_CONFIG_UPDATE_NOTIFIER=false
COPY --from=build /tmp/shoal.tgz /tmp/shoal.tgz
RUN npm install -g --ignore-scripts --no-audit --no-fund /tmp/shoal.tgz \
  && rm /tmp/shoal.tgz && npm cache clean --force \
  && install -d -o node -g node /data
# The image's own user, 1000. model_backend.yaml, api_keys.json and what `shoal pull` fetches lie in /data.
USER node
WORKDIR /data
VOLUME /data
ENV SHOAL_LOG=json
EXPOSE 8787
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s --retries=3 \
  CMD ["node", "-e", "fetch('http://127.0.0.1:8787/health/live').then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["shoal"]
CMD ["serve", "--host", "0.0.0.0", "--port", "8787"]

FROM server AS worker
USER root
# Chromium with its libraries, and the Vulkan loader for a real GPU; its own SwiftShader computes where there is none.
RUN apt-get update \
  && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends chromium libvulkan1 mesa-vulkan-drivers \
  && rm -rf /var/lib/apt/lists/*
ENV CHROME_PATH=/usr/bin/chromium
USER node
# A browser that hangs is restarted from inside; only a process that is gone is the container's matter.
HEALTHCHECK NONE
# Chrome's sandbox needs user namespaces, which Docker's default seccomp profile refuses: run with
# --security-opt seccomp=deploy/seccomp-chromium.json, as compose.yaml does. Without it the worker says what to do.
CMD ["worker", "--server", "http://127.0.0.1:8787"]
