/** `assay provider join|status|disputes|answer`: a provider's own affairs at a gateway. */
import { z } from 'zod';
import { signAnswer } from '#protocol/dispute-answer';
import { zEvidenceReply } from '#protocol/messages';
import { safeParse, zHash } from '#protocol/schema';
import type { ProviderConfig } from '../config.ts';
import { domainOf } from '../network-file.ts';
import { CommandError, type CommandIo, callJson, messageOf } from './command-io.ts';
import { callGateway, readSigner } from './gateway-call.ts';

const zDispute = z.object({
  id: zHash,
  job_id: zHash,
  fault: z.string(),
  reason: z.string().nullable(),
  state: z.string(),
  ruling: z.string().nullable(),
  finding: z.object({ reason: z.string(), count: z.number() }).nullable(),
  frozen_nano: z.string(),
  appeal_until_ms: z.number().nullable(),
});
type Dispute = z.output<typeof zDispute>;
const zOwnDispute = zDispute.extend({
  answer: z.object({ until_ms: z.number().nullable(), left: z.number(), positions: z.array(z.number()) }),
});
const zApplication = z.object({ id: z.string(), state: z.string() });
const zAccount = z.object({
  id: z.string(),
  status: z.string(),
  stake_nano: z.string(),
  frozen_nano: z.string(),
  earnings_nano: z.string(),
  earned_nano: z.string(),
  /** Prizes for planted errors; gateways from before there were any say nothing of them. */
  jackpots: z.object({ count: z.number(), earned_nano: z.string() }).optional(),
  jobs: z.array(
    z.object({ role: z.string(), standing: z.string().nullable(), jobs: z.number(), earned_nano: z.string() }),
  ),
});

/** A call with what it needs. */
export interface Affair {
  readonly config: ProviderConfig;
  readonly gateway: string;
}

function read<T>(schema: z.ZodType<T>, body: unknown): T {
  const parsed = safeParse(schema, body);
  if (!parsed.success) throw new CommandError('the gateway answered in a form that this version does not know');
  return parsed.data;
}

export async function join({ config, gateway }: Affair, url: string, io: CommandIo): Promise<void> {
  const body = { url, operator: config.operator };
  const reply = await callGateway(io, config, gateway, { method: 'POST', path: '/v1/provider/application', body });
  const { id, state } = read(zApplication, reply);
  io.print(`${id} at ${url}: ${state}`);
  if (state === 'pending') io.print(`the operator decides: assay admin applications approve ${id}`);
}

export async function status({ config, gateway }: Affair, sinceMs: number, io: CommandIo): Promise<void> {
  const path = `/v1/provider/account?since_ms=${sinceMs}`;
  const account = read(zAccount, await callGateway(io, config, gateway, { method: 'GET', path }));
  io.print(`${account.id}: ${account.status}`);
  io.print(
    `owed ${account.earnings_nano} nano, stake ${account.stake_nano}, frozen in disputes ${account.frozen_nano}`,
  );
  io.print(
    `earned ${account.earned_nano} nano ${sinceMs === 0 ? 'in all' : `since ${new Date(sinceMs).toISOString()}`}:`,
  );
  for (const line of account.jobs) {
    io.print(`  ${line.role} ${line.standing ?? 'running'}: ${line.jobs} jobs, ${line.earned_nano} nano`);
  }
  const { jackpots } = account;
  if (jackpots !== undefined && jackpots.count > 0) {
    io.print(`beside that for ${jackpots.count} planted errors: ${jackpots.earned_nano} nano`);
  }
}

export async function disputes({ config, gateway }: Affair, id: string | null, io: CommandIo): Promise<void> {
  if (id !== null) {
    const path = `/v1/provider/disputes/${encodeURIComponent(id)}`;
    io.print(JSON.stringify(await callGateway(io, config, gateway, { method: 'GET', path }), null, 2));
    return;
  }
  const reply = await callGateway(io, config, gateway, { method: 'GET', path: '/v1/provider/disputes' });
  const { data } = read(z.object({ data: z.array(zDispute) }), reply);
  if (data.length === 0) io.print('no disputes');
  for (const dispute of data) io.print(lineOf(dispute));
}

function lineOf({
  id,
  fault,
  reason,
  state,
  ruling,
  finding,
  frozen_nano: frozen,
  appeal_until_ms: until,
}: Dispute): string {
  const found = finding === null ? '' : `, found ${finding.reason} (${finding.count})`;
  const appeal = state === 'ruled' && until !== null ? `, final at ${new Date(until).toISOString()}` : '';
  return `${id}: ${fault} (${reason ?? 'forgotten'}), ${state} ${ruling ?? ''}${found}, frozen ${frozen} nano${appeal}`;
}

/** Opens the evidence that is still asked for, out of the running provider, and sends it signed. */
export async function answer({ config, gateway }: Affair, id: string, io: CommandIo): Promise<void> {
  const path = `/v1/provider/disputes/${encodeURIComponent(id)}`;
  const dispute = read(zOwnDispute, await callGateway(io, config, gateway, { method: 'GET', path }));
  const { until_ms: untilMs, left, positions } = dispute.answer;
  if (untilMs === null) throw new CommandError(`the dispute is ${dispute.state}: nothing can be answered now`);
  if (left === 0) throw new CommandError('the dispute takes no further answer');
  // From the provider that runs: it alone may open its store.
  const own = `http://${config.host.includes(':') ? `[${config.host}]` : config.host}:${config.port}`;
  const reply =
    positions.length === 0
      ? { status: 200, body: { items: [] } }
      : await callJson(io, `${own}/v1/jobs/${dispute.job_id}/evidence`, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify({ positions }),
        });
  if (reply.status !== 200) throw new CommandError(`the evidence is not there: ${messageOf(reply.body)}`);
  const { items } = read(zEvidenceReply, reply.body);
  const body = signAnswer(domainOf(config), readSigner(config), dispute.id, items, io.clock.nowMs());
  const after = read(
    zOwnDispute,
    await callGateway(io, config, gateway, { method: 'POST', path: `${path}/answer`, body }),
  );
  io.print(`answered with ${items.length} items`);
  io.print(lineOf(after));
}
