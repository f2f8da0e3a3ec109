/** Committees that were survive a restart: without them nobody would be covered until enough were had again (SPEC.md §5.7). */
import type { Store } from '../store/handle.ts';
import { putSetting, settingJson } from '../store/settings-repo.ts';
import { Covers } from './covers.ts';

const SETTING = 'covers.traces';
/** Traces after which they are saved: a crash loses as many. */
const UNSAVED_MAX = 256;

export function emptyCovers(): Covers {
  return new Covers();
}

export async function loadCovers(store: Store, covers: Covers): Promise<void> {
  covers.load((await store.peek((handle) => settingJson(handle, SETTING))) ?? '');
}

/** Saves them where enough are new. */
export async function saveCovers(store: Store, covers: Covers, nowMs: number): Promise<void> {
  if (covers.unsaved < UNSAVED_MAX) return;
  const text = covers.saved();
  await store.withTx((tx) => putSetting(tx, SETTING, text, nowMs));
}
