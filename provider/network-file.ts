/** The network that a provider stakes in: read from the file that `assay deploy` wrote, and where its signatures are valid. */
import { readFileSync } from 'node:fs';
import { type Domain, LOCAL_DOMAIN } from '#protocol/eip712';
import { type Network, parseNetwork } from '../contracts/chain/network.ts';

/** @throws {Error} where there is no such file, or it is another one */
export function readNetwork(file: string): Network {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch {
    throw new Error(`the network file ${file} cannot be read`);
  }
  const network = parseNetwork(text);
  if (network === null) throw new Error(`${file} is not a network file as \`assay deploy\` writes it`);
  return network;
}

/** The domain of everything that is signed: the network's, or the local one where there is no chain. @throws {Error} */
export function domainOf({ network }: { readonly network: string | null }): Domain {
  return network === null ? LOCAL_DOMAIN : readNetwork(network).domain;
}
