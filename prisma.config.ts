import { defineConfig } from 'prisma/config';

// `prisma generate` and the server's build need no database, so a missing DATABASE_URL must not throw here.
export default defineConfig({
  schema: 'prisma/schema.prisma',
  migrations: { path: 'prisma/migrations', seed: 'npm run seed' },
  datasource: { url: process.env.DATABASE_URL ?? 'postgresql://localhost:5432/pairline' },
});
