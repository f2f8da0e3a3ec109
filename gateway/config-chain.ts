/** The part of a gateway's configuration that concerns a chain (spec-chain.md C9); without a network nothing of it is used. Pure. */
import type { Address } from '#protocol/hash';
import { safeParse, zAddress } from '#protocol/schema';
import { baseUrl, integer, nano, type Parsed, path, type Settings } from '#protocol/settings';

export interface ChainConfig {
  /** File that `assay deploy` wrote, and JSON-RPC of a node of its chain; null where there is no chain. */
  readonly network: string | null;
  readonly rpcUrl: string | null;
  /** Private key of the one that sends and pays on the chain; null sends with the gateway's own. */
  readonly accountKeyFile: string | null;
  /** The gateway's account in the registry; null takes the sending key's address. */
  readonly account: Address | null;
  /** Blocks on top of a block that make it final. */
  readonly confirmations: number;
  readonly chainPollMs: number;
  readonly rootMs: number;
  readonly reconcileMs: number;
  readonly feeBumpMs: number;
  readonly feeMaxGwei: number;
  readonly voucherLeastNano: bigint;
}

export function address(text: string): Parsed<Address> {
  const parsed = safeParse(zAddress, text.toLowerCase());
  return parsed.success ? { value: parsed.data } : { problem: 'must be addresses (0x and 40 hex digits), by commas' };
}

const DAY_MS = 24 * 3600 * 1000;

export const CHAIN_SETTINGS: Settings<ChainConfig> = {
  network: {
    env: 'ASSAY_GATEWAY_NETWORK',
    help: 'file of `assay deploy`: the chain that this gateway settles on',
    fallback: null,
    shown: 'none',
    parse: path,
  },
  rpcUrl: {
    env: 'ASSAY_GATEWAY_RPC_URL',
    help: 'JSON-RPC of a node of that chain',
    fallback: null,
    shown: 'none',
    parse: baseUrl,
  },
  accountKeyFile: {
    env: 'ASSAY_GATEWAY_ACCOUNT_KEY_FILE',
    help: 'private key that sends and pays on the chain',
    fallback: null,
    shown: 'the signing key',
    parse: path,
  },
  account: {
    env: 'ASSAY_GATEWAY_ACCOUNT',
    help: 'account in the registry',
    fallback: null,
    shown: 'address of the sending key',
    parse: address,
  },
  // 12 blocks of 12 s: what exchanges wait for, and more than Ethereum has lost at once since it has stakers.
  confirmations: {
    env: 'ASSAY_GATEWAY_CONFIRMATIONS',
    help: 'blocks on top of a block that make it final',
    fallback: 12,
    parse: integer(0, 10_000),
  },
  // A third of a block of Ethereum.
  chainPollMs: {
    env: 'ASSAY_GATEWAY_CHAIN_POLL_MS',
    help: 'how often the chain is looked at',
    fallback: 4_000,
    parse: integer(10, 3_600_000),
  },
  // Roots are active after a day: 24 a day cost 24 transactions, and nobody's pay waits an hour longer than that.
  rootMs: {
    env: 'ASSAY_GATEWAY_ROOT_MS',
    help: 'least time between two roots of earnings',
    fallback: 3_600_000,
    parse: integer(0, 90 * DAY_MS),
  },
  reconcileMs: {
    env: 'ASSAY_GATEWAY_RECONCILE_MS',
    help: 'how often ledger and chain are compared, beside before every root',
    fallback: 600_000,
    parse: integer(100, DAY_MS),
  },
  // Five blocks of Ethereum without it: the price was too low.
  feeBumpMs: {
    env: 'ASSAY_GATEWAY_FEE_BUMP_MS',
    help: 'until a transaction that is in no block is sent with higher fees',
    fallback: 60_000,
    parse: integer(100, DAY_MS),
  },
  feeMaxGwei: {
    env: 'ASSAY_GATEWAY_FEE_MAX_GWEI',
    help: 'most that a unit of gas may cost',
    fallback: 500,
    parse: integer(1, 1_000_000),
  },
  // 0.1 tokens: a redemption costs some 60,000 gas, and nobody shall make the gateway pay that for crumbs.
  voucherLeastNano: {
    env: 'ASSAY_GATEWAY_VOUCHER_LEAST_NANO',
    help: 'least that the redemption of a voucher brings',
    fallback: 100_000_000n,
    parse: nano,
  },
};

/** What is wrong with values that are in range by themselves. */
export function chainProblems({ network, rpcUrl }: ChainConfig): readonly string[] {
  return (network === null) === (rpcUrl === null) ? [] : ['--network and --rpc-url are given together, or neither is'];
}
