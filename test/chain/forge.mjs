/**
 * forge itself, with its exit code: the command that npm installs for it always ends with 0, so a failed test would pass a script.
 * `node test/chain/forge.mjs test`.
 */
import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const SYSTEMS = { linux: 'linux', darwin: 'darwin', win32: 'win32' };
const CPUS = { x64: 'amd64', arm64: 'arm64' };

/**
 * Path of a tool's own binary, from the package of this platform.
 * @param {'forge' | 'anvil'} tool
 */
export function foundryBinary(tool) {
  const name = `@foundry-rs/${tool}-${SYSTEMS[process.platform]}-${CPUS[process.arch]}`;
  const manifest = createRequire(import.meta.url).resolve(`${name}/package.json`);
  return path.join(path.dirname(manifest), 'bin', process.platform === 'win32' ? `${tool}.exe` : tool);
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const cwd = fileURLToPath(new URL('../../', import.meta.url));
  const { status } = spawnSync(foundryBinary('forge'), process.argv.slice(2), { cwd, stdio: 'inherit' });
  process.exitCode = status ?? 1;
}
