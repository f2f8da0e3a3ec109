/** `npm run abi`: copies ABI and creation code of what is deployed from forge's output into contracts/chain/abi. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { CONTRACTS, DEMO_TOKEN } from '../../contracts/chain/deploy.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
export const ABI_FOLDER = path.join(ROOT, 'contracts', 'chain', 'abi');

/** Where the tests keep what `forge build` wrote. */
export const BUILT_FOLDER = path.join(ROOT, '.forge', 'built');

/** The committed text of a contract's file, made from what `forge build` wrote into a folder. */
export function abiText(name: string, folder = path.join(ROOT, '.forge', 'out')): string {
  const file = path.join(folder, `${name}.sol`, `${name}.json`);
  const { abi, bytecode } = JSON.parse(readFileSync(file, 'utf8')) as { abi: unknown; bytecode: { object: string } };
  return `${JSON.stringify({ abi, bytecode: bytecode.object }, null, 1)}\n`;
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  mkdirSync(ABI_FOLDER, { recursive: true });
  for (const name of [...CONTRACTS, DEMO_TOKEN]) writeFileSync(path.join(ABI_FOLDER, `${name}.json`), abiText(name));
}
