/** `assay provider init`: a key and a configuration to begin with. */
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { flagOf } from '#protocol/settings';
import { nativeSigner } from '#protocol/signer-native';
import { parseProviderConfig } from '../config.ts';
import { readOrMakeKey } from '../key-file.ts';
import { CommandError, type CommandIo } from './command-io.ts';
import { gatewayAddressAt } from './gateway-call.ts';

export interface InitOrder {
  readonly configFile: string;
  readonly gateway: string | null;
  /** Settings that go into the file, by their names. */
  readonly settings: Readonly<Record<string, string>>;
}

/** Writes what is not there; a configuration or a key that exists is never replaced. @throws {CommandError} */
export async function initProvider(order: InitOrder, io: CommandIo): Promise<void> {
  const { configFile, gateway } = order;
  if (existsSync(configFile)) throw new CommandError(`${configFile} exists and is not replaced`);
  const folder = path.resolve(path.dirname(configFile), 'data', 'provider');
  const modelFolder = order.settings.modelFolder ?? io.modelFolder;
  const trusted = gateway === null ? {} : { gatewayAddresses: await gatewayAddressAt(io, gateway) };
  const file = {
    host: '127.0.0.1',
    port: '8181',
    modelFolder,
    modelId: path.basename(path.resolve(modelFolder)),
    executionProviders: 'cpu',
    dataFolder: folder,
    keyFile: path.join(folder, 'key'),
    ...trusted,
    ...order.settings,
  };
  // Whatever else the environment says must fit too: what is written is what will run.
  const parsed = parseProviderConfig({ env: io.env, flags: {}, file });
  if (!parsed.ok) throw new CommandError(parsed.problems.join('; '));
  const signer = nativeSigner(readOrMakeKey(parsed.config.keyFile, io.rng));
  mkdirSync(path.dirname(path.resolve(configFile)), { recursive: true });
  writeFileSync(configFile, `${JSON.stringify(file, null, 2)}\n`, { flag: 'wx' });
  io.print(`wrote ${configFile}; this provider signs as ${signer.address}`);
  if (gateway !== null) {
    io.print(
      `trusts ${file.gatewayAddresses}, which ${gateway} says of itself: ask its operator whether that is right`,
    );
  }
  io.print(`next: assay provider doctor --config ${configFile}${gateway === null ? '' : ` --gateway ${gateway}`}`);
  io.print(`      assay provider --config ${configFile}`);
  io.print(
    `      assay provider join --config ${configFile} --gateway <its URL> --url <where it reaches this provider>`,
  );
}

/** Settings that `init` takes as flags, by flag. */
export const INIT_FLAGS: ReadonlyMap<string, string> = new Map(
  [
    'modelFolder',
    'modelId',
    'operator',
    'region',
    'host',
    'port',
    'executionProviders',
    'gatewayAddresses',
    'role',
  ].map((name) => [flagOf(name).slice(2), name]),
);
