/** What drizzle-kit reads: `npx drizzle-kit generate --config drizzle.provider.config.ts --name <what-changes>`. */
import { defineConfig } from 'drizzle-kit';

export default defineConfig({
  dialect: 'sqlite',
  schema: './provider/store/schema.ts',
  out: './migrations/provider-sqlite',
});
