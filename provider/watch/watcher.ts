/** One look at a gateway, its log and the chain, by somebody who believes nobody (spec-chain.md C6). */

import { contradictionProven } from '#protocol/contradiction';
import type { Address, Hash } from '#protocol/hash';
import { type ChainCheckpoint, chainCheckpoint } from '#protocol/log';
import type { Recover } from '#protocol/signer';
import { signerOfTwoRoots } from '#protocol/two-roots';
import type { Opening } from '#protocol/typed';
import { type ChainAccess, ChainError } from '../../contracts/chain/access.ts';
import { accountOf, answersFor } from '../chain/account.ts';
import { CommandError, type CommandIo } from '../cli/command-io.ts';
import { answerDemands, endSilences } from './demands.ts';
import { checkAudits, checkEpochKeys, noteEpochs } from './epoch-keys.ts';
import { lookAt } from './log-mirror.ts';
import { checkPendingRoot } from './pending-root.ts';
import { contradictionProof, type Proof, twoRootsProof } from './proofs.ts';
import { collectProven, type RaiseDeps, raise } from './raise.ts';
import { checkEarnings } from './roots.ts';
import { savedProofs } from './saved.ts';
import { readCheckpoint, readContradictions, readEntries, readEpochKey, readTwoRoots } from './sources.ts';
import { openState, saveState, type WatchState } from './state.ts';

export interface WatchOptions {
  readonly chain: ChainAccess;
  readonly gateway: string;
  readonly stateFolder: string;
  /** URLs of providers that may hold two roots of the gateway. */
  readonly providers: readonly string[];
  /** Folder of saved answers; null where there is none. */
  readonly saved: string | null;
  /** This provider's signing key, whose account is watched over; null for an auditor. */
  readonly provider: Address | null;
  readonly openingOf: (commitment: Hash) => Promise<Opening | null>;
  readonly recover: Recover;
}

/** How a watcher reads, waits and speaks. */
export type WatchIo = Pick<CommandIo, 'fetch' | 'clock' | 'print' | 'rng'>;

/** What one look came to. */
export interface Look {
  /** Faults that were proven on the chain by this look. */
  readonly proven: number;
  /** What is wrong and was not dealt with. */
  readonly problems: number;
}

export class Watcher {
  readonly #options: WatchOptions;
  readonly #io: WatchIo;
  readonly #state: WatchState;
  #stored: number;
  #problems = 0;

  /** @throws {Error} where the state of before cannot be read */
  constructor(options: WatchOptions, io: WatchIo) {
    this.#options = options;
    this.#io = io;
    this.#state = openState(options.stateFolder);
    this.#stored = this.#state.mirror.leaves.size;
  }

  /** Looks everywhere once; what fails in one place keeps nothing from the others. */
  async look(): Promise<Look> {
    const { chain } = this.#options;
    const state = this.#state;
    this.#problems = 0;
    const proofs: Proof[] = [];
    const head = await this.#try('log', () => this.#lookAtLog(proofs));
    await this.#try('disputes', async () => void proofs.push(...(await this.#contradictions())));
    for (const url of this.#options.providers) {
      await this.#try(url, async () => void proofs.push(...(await this.#twoRoots(url))));
    }
    const { saved } = this.#options;
    if (saved !== null) await this.#try(saved, async () => void proofs.push(...(await this.#savedProofs(saved, head))));
    const { rng, clock, print } = this.#io;
    const deps = { chain, state, save: () => this.#save(), rng, clock, print };
    for (const proof of proofs) state.pending.set(proof.evidence, proof);
    // Durable before anybody learns of it: what has shown it may be gone at the next look.
    this.#save();
    const proven = await this.#raiseAll(deps);
    await this.#try('demands', () => this.#demands());
    await this.#try('silences', () => endSilences(deps));
    if (head !== null) await this.#try('epoch keys', () => this.#epochKeys(head));
    const { provider, gateway } = this.#options;
    if (provider !== null) {
      for (const check of [checkEarnings, checkPendingRoot]) {
        await this.#try('earnings', async () => {
          if (!(await check({ ...deps, io: this.#io, gateway, provider }))) this.#problems++;
        });
      }
    }
    await this.#try('convicted accounts', () => collectProven(deps));
    this.#save();
    return { proven, problems: this.#problems };
  }

  /** @returns how many were proven */
  async #raiseAll(deps: RaiseDeps): Promise<number> {
    let proven = 0;
    for (const [evidence, proof] of [...this.#state.pending]) {
      const end = await this.#try(proof.fault, () => raise(deps, proof));
      if (end === 'proven') proven++;
      if (end === 'failed' || end === 'unstaked') this.#problems++;
      if (end === 'proven' || end === 'late' || end === 'known') this.#state.pending.delete(evidence);
    }
    return proven;
  }

  /** @returns the newest head that the mirror holds to, null where there is none to trust */
  async #lookAtLog(proofs: Proof[]): Promise<ChainCheckpoint | null> {
    const { chain, gateway, recover } = this.#options;
    const note = await readCheckpoint(this.#io, gateway);
    const head = chainCheckpoint(chain.network.domain, note, recover);
    if (head === null) return this.#problem(`${gateway} shows a checkpoint that is not signed for this chain`);
    const read: { start: number; entries: unknown[] }[] = [];
    const look = await lookAt(this.#state.mirror, head, async (start, end) => {
      const entries = await readEntries(this.#io, gateway, start, end);
      read.push({ start, entries });
      return entries;
    });
    this.#state.mirror = look.mirror;
    for (const { start, entries } of read) noteEpochs(this.#state, entries, start);
    proofs.push(...look.proofs);
    if (look.problem !== null) return this.#problem(`${gateway}: ${look.problem}`);
    return look.proofs.length > 0 ? null : head;
  }

  async #contradictions(): Promise<Proof[]> {
    const { chain, gateway, recover } = this.#options;
    const { domain } = chain.network;
    const found = await readContradictions(this.#io, gateway);
    return found.flatMap(({ jobId, provider, contradiction }) => {
      if (!contradictionProven(contradiction, { provider, jobId }, { domain, recover })) return [];
      return contradictionProof(contradiction, jobId, provider) ?? [];
    });
  }

  async #twoRoots(url: string): Promise<Proof[]> {
    const { chain, recover } = this.#options;
    const items = await readTwoRoots(this.#io, url);
    return items.flatMap((item) => {
      const key = signerOfTwoRoots(item, { domain: chain.network.domain, recover });
      return key === null ? [] : twoRootsProof(item, key);
    });
  }

  async #savedProofs(folder: string, head: ChainCheckpoint | null): Promise<Proof[]> {
    const { chain, gateway, recover } = this.#options;
    const { domain } = chain.network;
    const entryAt = async (index: number) => (await readEntries(this.#io, gateway, index, index + 1))[0];
    // One that answers nothing must not keep the other proofs back.
    const keyAt = (epoch: number, index: number) =>
      this.#try('keys of draws', () => readEpochKey(this.#io, gateway, epoch, index));
    return savedProofs(folder, { domain, recover, log: this.#state, head, entryAt, keyAt });
  }

  async #demands(): Promise<void> {
    const { chain, provider, openingOf, gateway } = this.#options;
    const own = new Set<Address>();
    if ((await accountOf(chain, chain.sender)) !== null) own.add(chain.sender);
    const account = provider === null ? null : await answersFor(chain, provider);
    if (account !== null) own.add(account);
    const keyOf = async (drawRoot: Hash, index: number) => {
      const found = [...this.#state.epochs].find(([, epoch]) => epoch.drawRoot === drawRoot);
      return found === undefined ? null : readEpochKey(this.#io, gateway, found[0], index);
    };
    const secretOf = (commitment: Hash) =>
      [...this.#state.epochs.values()].find(({ audits }) => audits?.commitment === commitment)?.audits?.secret ?? null;
    await answerDemands({ chain, state: this.#state, own, openingOf, keyOf, secretOf, print: this.#io.print });
  }

  async #epochKeys(head: ChainCheckpoint): Promise<void> {
    // Only what is staked can be asked for: nobody answers for anything else.
    if ((await answersFor(this.#options.chain, head.address)) === null) return;
    const read = (epoch: number, index: number) => readEpochKey(this.#io, this.#options.gateway, epoch, index);
    const { chain } = this.#options;
    const deps = { chain, state: this.#state, rng: this.#io.rng, read, print: this.#io.print };
    await checkEpochKeys(deps, head);
    await checkAudits(deps, head);
  }

  #problem(line: string): null {
    this.#problems++;
    this.#io.print(line);
    return null;
  }

  async #try<T>(what: string, run: () => Promise<T>): Promise<T | null> {
    try {
      return await run();
    } catch (error) {
      if (!(error instanceof CommandError || error instanceof ChainError)) throw error;
      return this.#problem(`${what}: ${error.message}`);
    }
  }

  #save(): void {
    saveState(this.#options.stateFolder, this.#state, this.#stored);
    this.#stored = this.#state.mirror.leaves.size;
  }
}
