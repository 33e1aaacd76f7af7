# Hallpass: one image for broker, worker and commands. Runs as a user without rights, on a read-only root.
FROM node:20.20-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json ./
# No package's install script runs: none is needed.
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY tsconfig.json tsconfig.build.json ./
COPY scripts scripts
COPY src src
RUN npm run build && npm prune --omit=dev --ignore-scripts --no-audit --no-fund

FROM node:20.20-bookworm-slim
ENV NODE_ENV=production HALLPASS_CONFIG=/etc/hallpass/hallpass.yaml
# Package managers have no business in a running container. The empty folders give new volumes their owner.
RUN rm -rf /usr/local/lib/node_modules /usr/local/bin/npm /usr/local/bin/npx /usr/local/bin/corepack /opt/yarn-* \
  && ln -s /app/dist/src/bin/hallpass.js /usr/local/bin/hallpass \
  && install -d -o node -g node -m 0700 /var/lib/hallpass /var/lib/hallpass/audit /var/lib/hallpass/keys
WORKDIR /app
COPY --from=build /app/package.json ./
COPY --from=build /app/node_modules node_modules
COPY --from=build /app/dist/src dist/src
COPY config/dev config/dev
COPY config/compose/healthcheck.mjs ./
VOLUME ["/var/lib/hallpass/audit", "/var/lib/hallpass/keys"]
USER 1000:1000
EXPOSE 8700
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s --retries=3 CMD ["node", "/app/healthcheck.mjs"]
ENTRYPOINT ["hallpass"]
CMD ["serve"]
