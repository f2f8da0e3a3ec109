/** Signed calls of this provider to a gateway (SPEC.md §6.9). */
import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { type Address, utf8 } from '#protocol/hash';
import { parsePrivateKey } from '#protocol/private-key';
import { signCall } from '#protocol/provider-call';
import { safeParse, zAddress } from '#protocol/schema';
import type { Signer } from '#protocol/signer';
import { nativeSigner } from '#protocol/signer-native';
import type { ProviderConfig } from '../config.ts';
import { domainOf } from '../network-file.ts';
import { CommandError, type CommandIo, callJson, messageOf } from './command-io.ts';

const zKeys = z.object({ address: zAddress });

/** The key of the configuration's file. @throws {CommandError} */
export function readSigner(config: ProviderConfig): Signer {
  try {
    return nativeSigner(parsePrivateKey(readFileSync(config.keyFile, 'utf8')));
  } catch {
    throw new CommandError('the key file cannot be read; `assay provider init` makes one');
  }
}

/** The first key of the gateway that answers there. @throws {CommandError} */
export async function gatewayAddressAt(io: CommandIo, gateway: string): Promise<Address> {
  const keys = safeParse(zKeys, (await callJson(io, `${gateway}/v1/log/keys`)).body);
  if (!keys.success) throw new CommandError(`${gateway} does not answer like a gateway`);
  return keys.data.address;
}

/** One signed call. @throws {CommandError} where the gateway is not trusted, does not answer, or refuses */
export async function callGateway(
  io: CommandIo,
  config: ProviderConfig,
  gateway: string,
  call: { readonly method: 'GET' | 'POST'; readonly path: string; readonly body?: unknown },
): Promise<unknown> {
  const address = await gatewayAddressAt(io, gateway);
  // Signed for that gateway alone, so it must be one that we mean.
  if (!config.gatewayAddresses.includes(address)) {
    throw new CommandError(`${gateway} signs as ${address}, which is not among gatewayAddresses`);
  }
  const text = call.body === undefined ? '' : JSON.stringify(call.body);
  const headers = signCall(
    { method: call.method, path: call.path, body: utf8(text) },
    {
      domain: domainOf(config),
      signer: readSigner(config),
      gateway: address,
      nowMs: io.clock.nowMs(),
      rng: io.rng,
    },
  );
  const { status, body } = await callJson(io, `${gateway}${call.path}`, {
    method: call.method,
    headers: { ...headers, 'content-type': 'application/json' },
    ...(text === '' ? {} : { body: text }),
  });
  if (status !== 200) throw new CommandError(`${status}: ${messageOf(body)}`);
  return body;
}
