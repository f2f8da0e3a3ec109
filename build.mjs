/**
 * Compiles the sources into dist/. `--if-stale` does nothing where dist/ is newer than every source, which takes milliseconds:
 * `npm start` and the process tests begin with it. Without a compiler (an installation without development dependencies) a
 * dist/ that is there is taken as it is. Outputs whose source is gone are removed, so that no package ships them.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = path.dirname(fileURLToPath(import.meta.url));
const dist = path.join(root, 'dist');
const stamp = path.join(dist, '.built');
const FOLDERS = ['gateway', 'provider', 'contracts'];
const FILES = ['main.ts', 'package.json', 'tsconfig.json', 'tsconfig.build.json'];

/** TypeScript files under a folder; the models have none. */
function sourcesIn(folder) {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const file = path.join(folder, entry.name);
    if (entry.isDirectory()) return entry.name === 'models' ? [] : sourcesIn(file);
    return entry.name.endsWith('.ts') ? [file] : [];
  });
}

function isFresh(sources) {
  if (!existsSync(stamp)) return false;
  const builtAt = statSync(stamp).mtimeMs;
  return sources.every((file) => statSync(file).mtimeMs < builtAt);
}

/** The compiler's entry point, or null where development dependencies are not installed. */
function compiler() {
  try {
    const manifest = createRequire(import.meta.url).resolve('typescript/package.json');
    return path.join(path.dirname(manifest), 'bin', 'tsc');
  } catch {
    return null;
  }
}

function removeOrphans(folder) {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const file = path.join(folder, entry.name);
    if (entry.isDirectory()) removeOrphans(file);
    const source = path.join(root, path.relative(dist, file)).replace(/(\.d)?\.[tj]s$/, '');
    if (entry.isFile() && /\.[tj]s$/.test(entry.name) && !existsSync(`${source}.ts`)) rmSync(file);
  }
}

function build() {
  const sources = [
    ...FILES.map((name) => path.join(root, name)),
    ...FOLDERS.flatMap((name) => sourcesIn(path.join(root, name))),
  ];
  if (process.argv.includes('--if-stale') && isFresh(sources)) return 0;
  const tsc = compiler();
  if (tsc === null) {
    if (existsSync(path.join(dist, 'main.js'))) return 0;
    process.stderr.write('dist/ is missing and TypeScript is not installed: run npm ci\n');
    return 1;
  }
  // The stamp has the time before: a source that changes while the compiler runs makes the next check stale.
  const startedAt = new Date();
  const { status } = spawnSync(process.execPath, [tsc, '-p', path.join(root, 'tsconfig.build.json')], {
    stdio: 'inherit',
  });
  if (status !== 0) return status ?? 1;
  removeOrphans(dist);
  writeFileSync(stamp, '');
  utimesSync(stamp, startedAt, startedAt);
  return 0;
}

process.exitCode = build();
