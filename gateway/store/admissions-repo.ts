/** Who may take part by the operator's word: admissions, exclusions, applications. */
import { asc, count, desc, eq } from 'drizzle-orm';
import type { Address } from '#protocol/hash';
import type { Handle, Tx } from './handle.ts';

export type Admission = Handle['tables']['admissions']['$inferSelect'];
export type Application = Handle['tables']['applications']['$inferSelect'] & { readonly provider: Address };

/** Reason of a provider that an operator has removed. */
export const REMOVED = 'left';

/** A provider that no draw seats, with the log entry that said so before. */
export interface Exclusion {
  readonly provider: Address;
  /** `quarantine:…` or `left`. */
  readonly reason: string;
  readonly logIndex: number;
  readonly atMs: number;
}

/** Remembers that an operator wants the provider at this URL, also after a restart. */
export async function putAdmission(tx: Tx, admission: Admission): Promise<void> {
  const { admissions } = tx.tables;
  await tx.db
    .insert(admissions)
    .values(admission)
    .onConflictDoUpdate({ target: admissions.url, set: { role: admission.role } });
}

export async function dropAdmission(tx: Tx, url: string): Promise<void> {
  const { admissions } = tx.tables;
  await tx.db.delete(admissions).where(eq(admissions.url, url));
}

export async function listAdmissions(handle: Handle): Promise<readonly Admission[]> {
  const { admissions } = handle.tables;
  return handle.db.select().from(admissions).orderBy(asc(admissions.atMs), asc(admissions.url));
}

export async function putExclusion(tx: Tx, exclusion: Exclusion): Promise<void> {
  const { exclusions } = tx.tables;
  const { provider: _provider, ...said } = exclusion;
  await tx.db.insert(exclusions).values(exclusion).onConflictDoUpdate({ target: exclusions.provider, set: said });
}

export async function dropExclusion(tx: Tx, provider: Address): Promise<void> {
  const { exclusions } = tx.tables;
  await tx.db.delete(exclusions).where(eq(exclusions.provider, provider));
}

export async function exclusionOf(handle: Handle, provider: Address): Promise<Exclusion | null> {
  const { exclusions } = handle.tables;
  const [row] = await handle.db.select().from(exclusions).where(eq(exclusions.provider, provider));
  return row === undefined ? null : (row as Exclusion);
}

export async function listExclusions(handle: Handle): Promise<readonly Exclusion[]> {
  const { exclusions } = handle.tables;
  return (await handle.db.select().from(exclusions).orderBy(asc(exclusions.provider))) as Exclusion[];
}

/** Enters an application, or replaces the applicant's earlier one that is not decided or was refused. */
export async function putApplication(tx: Tx, application: Application): Promise<void> {
  const { applications } = tx.tables;
  const { provider: _provider, ...said } = application;
  await tx.db.insert(applications).values(application).onConflictDoUpdate({ target: applications.provider, set: said });
}

export async function applicationOf(handle: Handle, provider: Address): Promise<Application | null> {
  const { applications } = handle.tables;
  const [row] = await handle.db.select().from(applications).where(eq(applications.provider, provider));
  return row === undefined ? null : (row as Application);
}

/** Newest first. */
export async function listApplications(
  handle: Handle,
  filter: { readonly state?: Application['state']; readonly limit: number },
): Promise<readonly Application[]> {
  const { applications } = handle.tables;
  return (await handle.db
    .select()
    .from(applications)
    .where(filter.state === undefined ? undefined : eq(applications.state, filter.state))
    .orderBy(desc(applications.atMs), asc(applications.provider))
    .limit(filter.limit)) as Application[];
}

/** Applications that nobody has decided. */
export async function pendingApplications(handle: Handle): Promise<number> {
  const { applications } = handle.tables;
  const [row] = await handle.db.select({ open: count() }).from(applications).where(eq(applications.state, 'pending'));
  return Number(row?.open ?? 0);
}

/** @returns false where there is no such application */
export async function decideApplication(
  tx: Tx,
  provider: Address,
  state: 'admitted' | 'refused',
  nowMs: number,
): Promise<boolean> {
  const { applications } = tx.tables;
  const rows = await tx.db
    .update(applications)
    .set({ state, decidedAtMs: nowMs })
    .where(eq(applications.provider, provider))
    .returning({ provider: applications.provider });
  return rows.length === 1;
}
