# syntax=docker/dockerfile:1

# The embedded Postgres is an optional dependency and stays out of the image: it needs DATABASE_URL (see compose.yaml).
FROM node:24-slim AS build
WORKDIR /app
COPY package.json package-lock.json ./
COPY protocol/package.json protocol/
COPY client/package.json client/
COPY web/package.json web/
COPY phone/package.json phone/
# The bundler's own binary is an optional dependency of it, so none is left out here.
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY nest-cli.json tsconfig.json tsconfig.build.json prisma.config.ts ./
COPY scripts scripts
COPY prisma prisma
COPY src src
COPY protocol protocol
COPY client client
COPY web web
RUN npm run build server web && find dist -name '*.tsbuildinfo' -delete

FROM node:24-slim AS packages
WORKDIR /app
COPY package.json package-lock.json ./
# Prisma ships its query compiler for every database; only the one for Postgres is ever loaded.
RUN npm ci --omit=dev --omit=optional --workspaces=false --ignore-scripts --no-audit --no-fund \
  && find node_modules/@prisma/client/runtime -name 'query_compiler_*' ! -name 'query_compiler_fast_bg.postgresql*' -delete \
  && find node_modules -type f \( -name '*.map' -o -name '*.d.ts' -o -name '*.d.mts' -o -name '*.d.cts' \) -delete

FROM node:24-slim
ENV NODE_ENV=production
WORKDIR /app
# DATA_DIR is ./data: keep it writable for the one user this runs as, and nothing else.
RUN mkdir data && chown node:node data
COPY --from=packages /app/node_modules node_modules
COPY --from=build /app/dist dist
COPY --from=build /app/web/dist web/dist
COPY prisma/migrations prisma/migrations
COPY package.json LICENSE ./
USER node
EXPOSE 3000
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.PORT || 3000}/healthz`).then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
CMD ["node", "--enable-source-maps", "dist/main.js"]
