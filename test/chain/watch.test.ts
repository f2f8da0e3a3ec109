/** `assay watch` on a real chain: who signs two things loses all, who is honest loses nothing. */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Contradiction } from '#protocol/contradiction';
import { type Hash, toHex } from '#protocol/hash';
import { commitmentHash, sealRound } from '#protocol/round';
import type { Signer } from '#protocol/signer';
import { digests, type Opening, type Ticket } from '#protocol/typed';
import type { Call, ChainAccess } from '../../contracts/chain/access.ts';
import { accountOf, creditOf } from '../../provider/chain/account.ts';
import { DEMO } from './chain-fixture.ts';
import { entryOf, epochEntry, ScriptedGateway, stakedProvider } from './scripted-gateway.ts';
import { watchWorld } from './watch-world.ts';

const DAY = 86_400;
const named = (byte: number): Hash => toHex(new Uint8Array(32).fill(byte));

const world = watchWorld();

describe('a gateway', () => {
  it('that signs two checkpoints of one size loses its stake, after a restart of the watcher too; its finder is paid', async () => {
    await world.quiet(world.watcher().look());
    world.gateway.note = world.gateway.noteOf([entryOf(0), entryOf(1), entryOf(99)]);
    expect((await world.watcher().look()).proven, world.lines.join('\n')).toBe(1);
    expect(world.lines).toEqual([
      expect.stringMatching(/^announced evidence of forked_log by .*; 0x[0-9a-f]{64}, \d+ gas$/),
      expect.stringMatching(/^proved forked_log of .*; 0x[0-9a-f]{64}, \d+ gas$/),
    ]);
    expect(await world.isConvicted(world.gateway.account)).toBe(true);
    expect((await world.watcher().look()).proven).toBe(0);
    await world.net.pass(14 * DAY);
    await world.watcher().look();
    expect(await creditOf(world.auditor.chain, world.auditor.chain.sender)).toBe(15n * DEMO);
  });

  it('that rewrites an entry and grows loses its stake', async () => {
    await world.quiet(world.watcher().look());
    world.gateway.entries = [entryOf(0), entryOf(77), entryOf(2), entryOf(3), entryOf(4)];
    expect((await world.watcher().look()).proven, world.lines.join('\n')).toBe(1);
    expect(await world.isConvicted(world.gateway.account)).toBe(true);
  });

  it('that grows, and shows an old checkpoint again, loses nothing', async () => {
    const one = world.watcher();
    await world.quiet(one.look());
    world.gateway.entries = [...world.gateway.entries, entryOf(3), entryOf(4), epochEntry(0), entryOf(6)];
    await world.quiet(one.look());
    world.gateway.note = world.gateway.noteOf(world.gateway.entries.slice(0, 3));
    await world.quiet(one.look());
    world.gateway.note = world.gateway.noteOf(world.gateway.entries.slice(0, 2));
    await world.quiet(world.watcher().look());
  });

  it('whose entries are not those of its checkpoint is reported, and nothing is sent', async () => {
    const before = await world.sent();
    world.gateway.note = world.gateway.noteOf([entryOf(0), entryOf(1), entryOf(5)]);
    expect(await world.watcher().look()).toEqual({ proven: 0, problems: 1 });
    expect(world.lines).toEqual([expect.stringContaining('are not those of checkpoint 3')]);
    expect(await world.sent()).toBe(before);
  });

  it('that shows a provider two roots for one round loses its stake', async () => {
    const [roundId, index] = [named(5), 3];
    const side = (roundRoot: Hash) => {
      const digest = digests.permission(world.net.network.domain, { roundId, index, roundRoot });
      return { roundRoot, signature: world.gateway.signer.sign(digest) };
    };
    world.gateway.twoRoots = [{ roundId, index, first: side(named(1)), second: side(named(1)) }];
    await world.quiet(world.watcher().look());
    world.gateway.twoRoots = [{ roundId, index, first: side(named(1)), second: side(named(2)) }];
    expect((await world.watcher().look()).proven, world.lines.join('\n')).toBe(1);
    expect(await world.isConvicted(world.gateway.account)).toBe(true);
  });

  it('that opens its keys once an epoch is over is left alone; one that hides them pays a fifth', async () => {
    world.gateway.entries = [epochEntry(0), entryOf(1), epochEntry(1), entryOf(3)];
    await world.quiet(world.watcher().look());
    world.gateway.hidesKeys = true;
    await world.quiet(world.watcher().look());
    world.gateway.entries = [...world.gateway.entries, epochEntry(2)];
    const one = world.watcher();
    await world.quiet(one.look());
    await world.quiet(one.look());
    await one.look();
    expect(world.lines).toEqual([expect.stringMatching(/^demanded key \d of epoch 1, which the gateway hides; 0x/)]);
    await world.net.pass(DAY);
    await world.watcher().look();
    expect(world.lines.at(-1)).toMatch(/stayed silent on demand/);
    expect((await accountOf(world.auditor.chain, world.gateway.account))?.active).toBe(40n * DEMO);
    expect(await world.isConvicted(world.gateway.account)).toBe(false);
  });

  it('whose checkpoint is not signed for this chain is reported', async () => {
    const [message] = world.gateway.noteOf([entryOf(0)]).split('\n\n');
    world.gateway.note = `${message}\n\n`;
    expect(await world.watcher().look()).toEqual({ proven: 0, problems: 1 });
    expect(world.lines).toEqual([expect.stringContaining('a checkpoint that is not signed for this chain')]);
  });

  it('that nobody answers for is asked for no keys: there is nothing to take', async () => {
    const stranger = new ScriptedGateway(world.net, await world.net.party(0n));
    stranger.entries = [epochEntry(0), epochEntry(1)];
    stranger.hidesKeys = true;
    world.gateway.fetch = stranger.fetch;
    for (let looks = 0; looks < 4; looks++) await world.quiet(world.watcher().look());
  });
});

describe('a provider', () => {
  const jobId = named(8);
  const commit = (signer: Signer, commitment: Hash, job = jobId) => ({
    commitment,
    signature: signer.sign(digests.commitment(world.net.network.domain, { jobId: job, index: 0, commitment })),
  });

  it('that equivocates in a logged dispute loses its stake; one of whom it is only said does not', async () => {
    const [liar, honest] = [await stakedProvider(world.net), await stakedProvider(world.net)];
    const twice = (signer: Signer, second: ReturnType<typeof commit>): Contradiction => {
      return { kind: 'two_commitments', index: 0, first: commit(signer, named(1)), second };
    };
    const { address: provider } = honest.signer;
    world.gateway.disputes = [
      { job_id: jobId, provider, contradiction: null },
      { job_id: jobId, provider, contradiction: twice(honest.signer, commit(honest.signer, named(1))) },
      { job_id: jobId, provider, contradiction: twice(honest.signer, commit(liar.signer, named(2))) },
      { job_id: jobId, provider, contradiction: twice(honest.signer, commit(honest.signer, named(2), named(4))) },
      { job_id: named(4), provider, contradiction: twice(honest.signer, commit(honest.signer, named(2))) },
    ];
    await world.quiet(world.watcher().look());
    const contradiction = twice(liar.signer, commit(liar.signer, named(2)));
    world.gateway.disputes.push({ job_id: jobId, provider: liar.signer.address, contradiction });
    expect((await world.watcher().look()).proven, world.lines.join('\n')).toBe(1);
    expect([await world.isConvicted(liar.chain.sender), await world.isConvicted(honest.chain.sender)]).toEqual([
      true,
      false,
    ]);
  });

  it('that opens a chunk other than it sealed loses its stake', async () => {
    const liar = await stakedProvider(world.net);
    const sealed = commit(liar.signer, commitmentHash(liar.signer.address, openingOf(named(1))));
    const reveal = (tokensHash: Hash) => {
      const opening = openingOf(tokensHash);
      return { opening, signature: liar.signer.sign(digests.reveal(world.net.network.domain, opening)) };
    };
    const say = (tokensHash: Hash) => {
      const contradiction: Contradiction = {
        kind: 'opening_does_not_fit',
        sealed,
        before: null,
        reveal: reveal(tokensHash),
      };
      world.gateway.disputes = [{ job_id: jobId, provider: liar.signer.address, contradiction }];
    };
    say(named(1));
    await world.quiet(world.watcher().look());
    say(named(2));
    expect((await world.watcher().look()).proven, world.lines.join('\n')).toBe(1);
    expect(await world.isConvicted(liar.chain.sender)).toBe(true);
  });

  it('whose opening fits its seal, and names a chunk before the first, is not taken to a contract, which cannot see it', async () => {
    const { signer } = await stakedProvider(world.net);
    const opening = { ...openingOf(named(1)), previous: named(9) };
    const sealed = commit(signer, commitmentHash(signer.address, opening));
    const reveal = { opening, signature: signer.sign(digests.reveal(world.net.network.domain, opening)) };
    const contradiction: Contradiction = { kind: 'opening_does_not_fit', sealed, before: null, reveal };
    world.gateway.disputes = [{ job_id: jobId, provider: signer.address, contradiction }];
    await world.quiet(world.watcher().look());
  });

  it('gives the reward to the watcher, though somebody copies the proof and is faster', async () => {
    const [liar, copier] = [await stakedProvider(world.net), await world.net.party(0n)];
    const second = commit(liar.signer, named(2));
    const contradiction: Contradiction = {
      kind: 'two_commitments',
      index: 0,
      first: commit(liar.signer, named(1)),
      second,
    };
    world.gateway.disputes = [{ job_id: jobId, provider: liar.signer.address, contradiction }];
    const { chain } = world.auditor;
    const copied: ChainAccess = {
      ...chain,
      async send(call: Call) {
        if (call.functionName === 'proveTwoCommitments') {
          await copier.chain.send({ ...call, args: [...call.args.slice(0, -1), named(0)] });
          expect((await accountOf(chain, liar.chain.sender))?.reporter).toBe(copier.chain.sender);
        }
        return chain.send(call);
      },
    };
    expect((await world.watcher({ chain: copied }).look()).proven, world.lines.join('\n')).toBe(1);
    expect((await accountOf(chain, liar.chain.sender))?.reporter).toBe(chain.sender);
  });

  const openingOf = (tokensHash: Hash): Opening => ({
    jobId,
    index: 0,
    previous: named(0),
    previousRoot: named(0),
    tokenCount: 4,
    last: true,
    tokensHash,
    evidenceRoot: named(6),
    salt: named(7),
  });

  async function demandOf(provider: Signer): Promise<Opening> {
    const { domain } = world.net.network;
    const opening = openingOf(named(1));
    const commitment = commitmentHash(provider.address, opening);
    const { root: roundRoot, path: pathOf } = sealRound(named(5), 0, named(3), new Map([[2, commitment]]));
    const retainUntilMs = ((await world.auditor.chain.nowSeconds()) + 3600) * 1000;
    const ticket: Ticket = {
      ...{ jobId, requestHash: named(1), roundId: named(5), provider: provider.address, kind: 0 },
      ...{ jobHash: named(1), padHash: named(2), inputNanoPerMtok: 1n, outputNanoPerMtok: 1n },
      ...{ issuedAtMs: 1, expiresAtMs: 2, retainUntilMs, checkpoint: named(0) },
    };
    const permission = { roundId: named(5), index: 0, roundRoot };
    const times = ['issuedAtMs', 'expiresAtMs', 'retainUntilMs'] as const;
    const wire = { ...ticket, ...Object.fromEntries(times.map((name) => [name, BigInt(ticket[name])])) };
    const maker = await world.net.party(5n);
    await maker.chain.send({
      callee: 'token',
      functionName: 'approve',
      args: [world.net.network.addresses.Evidence, DEMO],
    });
    const args = [
      wire,
      world.gateway.signer.sign(digests.ticket(domain, ticket)),
      { commitment, roundRoot, index: 0, slot: 2, path: pathOf(2) },
      world.gateway.signer.sign(digests.permission(domain, permission)),
      commit(provider, commitment).signature,
    ];
    await maker.chain.send({ callee: 'Evidence', functionName: 'demandOpening', args });
    return opening;
  }

  it('answers a demand in time and gets the bond; what it cannot open it is warned of', async () => {
    const own = await stakedProvider(world.net);
    const opening = await demandOf(own.signer);
    const by = { chain: own.chain, provider: own.signer.address };
    await world.watcher({ ...by }).look();
    expect(world.lines).toEqual([expect.stringMatching(/^DEMAND 0x.* the opening is not to be had; due 20/)]);
    const asked: Hash[] = [];
    const openings = async (commitment: Hash) => {
      asked.push(commitment);
      return opening;
    };
    await world.watcher({ ...by, openingOf: openings }).look();
    expect(world.lines.at(-1)).toMatch(/^answered demand 0x.* with the opening/);
    expect(asked).toEqual([commitmentHash(own.signer.address, opening)]);
    const held = await accountOf(own.chain, own.chain.sender);
    expect([held?.active, held?.frozen]).toEqual([50n * DEMO, 0n]);
    world.lines = [];
    await world.watcher({ ...by, openingOf: openings }).look();
    expect(world.lines).toEqual([]);
  });
});

describe('the state of a watcher', () => {
  it('is refused where it is damaged: a watcher that forgets proves less', async () => {
    await world.watcher().look();
    writeFileSync(path.join(world.folder, 'state', 'watch.json'), '{"version":1}');
    expect(() => world.watcher()).toThrow('damaged');
  });
});
