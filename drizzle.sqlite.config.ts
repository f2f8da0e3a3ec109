/** What drizzle-kit reads: `npx drizzle-kit generate --config drizzle.sqlite.config.ts --name <what-changes>`. */
import { defineConfig } from 'drizzle-kit';

export default defineConfig({
  dialect: 'sqlite',
  schema: './gateway/store/schema/sqlite.ts',
  out: './migrations/sqlite',
});
