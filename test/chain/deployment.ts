/** ABIs as committed, and `assay deploy` onto a chain of its own. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { Abi, Hex } from 'viem';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CONTRACTS, DEMO_TOKEN } from '../../contracts/chain/deploy.ts';
import { runDeploy } from '../../gateway/cli/deploy.ts';
import { type Anvil, startAnvil } from './anvil.ts';
import { ABI_FOLDER, abiText, BUILT_FOLDER } from './write-abi.ts';

/** The first key of anvil's own mnemonic, which it prints at every start. */
const ANVIL_KEY = '0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80';
const referee = (n: number): string => `0x${String(n).padStart(40, '0')}`;

describe('committed ABIs', () => {
  it.each([...CONTRACTS, DEMO_TOKEN])('%s is what forge builds (npm run abi writes it)', (name) => {
    // Compared as a whole: the difference of two creation codes would fill the screen.
    expect(readFileSync(path.join(ABI_FOLDER, `${name}.json`), 'utf8') === abiText(name, BUILT_FOLDER)).toBe(true);
  });
});

describe('assay deploy', () => {
  let anvil: Anvil;
  let token: Hex;
  const folder = mkdtempSync(path.join(os.tmpdir(), 'assay-deploy-'));
  const key = path.join(folder, 'key');
  const lines: string[] = [];
  const io = {
    print: (line: string) => void lines.push(line),
    fail: (line: string) => void lines.push(line),
  } as unknown as Parameters<typeof runDeploy>[1];
  const args = (out: string): string[] => [
    `--rpc-url=${anvil.url}`,
    `--key=${key}`,
    `--token=${token}`,
    `--referees=${[3, 1, 2].map(referee).join(',')}`,
    `--appeal-referees=${[8, 4, 5, 6, 7].map(referee).join(',')}`,
    `--out=${path.join(folder, out)}`,
  ];

  beforeAll(async () => {
    writeFileSync(key, `${ANVIL_KEY}\n`);
    anvil = await startAnvil();
    token = await anvil.deploy('TestToken', []);
  }, 60_000);
  afterAll(async () => {
    await anvil?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  it('deploys all contracts, wired to one registry, and writes addresses and ABIs', async () => {
    expect(await runDeploy(args('network.json'), io, ABI_FOLDER), lines.join('\n')).toBe(0);
    const { chainId, addresses, abis } = JSON.parse(readFileSync(path.join(folder, 'network.json'), 'utf8')) as {
      chainId: number;
      addresses: Record<string, Hex>;
      abis: Record<string, Abi>;
    };
    const read = (name: string, functionName: string, values: readonly unknown[] = []) =>
      anvil.client.readContract({ address: addresses[name]!, abi: abis[name]!, functionName, args: values });
    expect(chainId).toBe(31_337);
    const domain = await read('StakeRegistry', 'domainSeparator');
    for (const name of ['Settlement', 'Evidence', 'DrawEvidence', 'Rulings']) {
      expect(await read(name, 'registry')).toBe(await read('Evidence', 'registry'));
      expect(await read(name, 'domainSeparator')).toBe(domain);
    }
    for (const name of ['Evidence', 'DrawEvidence', 'Rulings']) {
      expect(await read('StakeRegistry', 'isSlasher', [addresses[name]])).toBe(true);
    }
    expect(await read('StakeRegistry', 'isSlasher', [addresses.Settlement])).toBe(false);
  });

  it('replaces no file, and says all that is wrong at once', async () => {
    lines.length = 0;
    expect(await runDeploy(args('network.json'), io, ABI_FOLDER)).toBe(2);
    expect(lines).toEqual(['assay deploy: --out exists']);
    lines.length = 0;
    expect(await runDeploy(['--rpc-url=x', '--what'], io, ABI_FOLDER)).toBe(2);
    expect(lines.length).toBeGreaterThan(4);
  });
});
