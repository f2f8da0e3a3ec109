/** The log as static tiles, so that any C2SP reader can follow it (C2SP tlog-tiles.md, "Merkle Tree"; SPEC.md §9). */
import { ProtocolError } from '#protocol/errors';
import { concat, fromHex, utf8 } from '#protocol/hash';
import type { LogKeeper } from '../attest/log-keeper.ts';
import type { Handle, Store } from '../store/handle.ts';
import { logNodes, logRange, nodeKey } from '../store/log-repo.ts';
import type { GatewayApp } from './context.ts';

/** Hashes (or entries) of a full tile: 2^8. */
const TILE_WIDTH = 256;
const TILE_HEIGHT = 8;
/** 2^8^6 leaves are more than a log of ours can have. */
const LEVEL_MAX = 5;
/** Longest entry that the uint16 length prefix can announce. */
const ENTRY_BYTES_MAX = 0xffff;

export interface TilePlace {
  /** `null` for entry bundles. */
  readonly level: number | null;
  readonly index: number;
  /** 1 to 256. */
  readonly width: number;
}

/**
 * Parses what follows `/tile/`: `<L>/<N>[.p/<W>]` or `entries/<N>[.p/<W>]`, N in groups of three digits, all but the last
 * with an `x`. Null where it is not in its one canonical form.
 */
export function parseTilePath(path: string): TilePlace | null {
  const match = /^(entries|[0-5])\/((?:x\d{3}\/)*\d{3})(?:\.p\/([1-9]\d{0,2}))?$/.exec(path);
  if (!match) return null;
  const groups = match[2]!.split('/').map((group) => group.replace('x', ''));
  // A leading zero group would be a second name of the same tile.
  if (groups.length > 5 || (groups.length > 1 && groups[0] === '000')) return null;
  const width = match[3] === undefined ? TILE_WIDTH : Number(match[3]);
  if (width >= TILE_WIDTH && match[3] !== undefined) return null;
  return { level: match[1] === 'entries' ? null : Number(match[1]), index: Number(groups.join('')), width };
}

/** Mounts `GET /v1/log/tile/…`; only what a signed checkpoint covers is served. */
export function mountLogTiles(app: GatewayApp, deps: { readonly store: Store; readonly log: LogKeeper }): void {
  app.get('/v1/log/tile/:path{.+}', async (c) => {
    const place = parseTilePath(c.req.param('path'));
    const size = deps.log.latest?.size ?? 0;
    if (!place || !isCovered(place, size)) throw new ProtocolError('not_found', 'There is no such tile.');
    const bytes = await deps.store.read((handle) => tileBytes(handle, place));
    return c.body(bytes.slice().buffer, 200, {
      'content-type': 'application/octet-stream',
      // A tile never changes: full ones by their nature, partial ones because their width is part of their name.
      'cache-control': 'public, max-age=31536000, immutable',
    });
  });
}

/** Whether all hashes of the tile are subtrees that the checkpoint's tree completes. */
function isCovered({ level, index, width }: TilePlace, size: number): boolean {
  if (level !== null && level > LEVEL_MAX) return false;
  const leavesPerHash = 2 ** (TILE_HEIGHT * (level ?? 0));
  return (index * TILE_WIDTH + width) * leavesPerHash <= size;
}

async function tileBytes(handle: Handle, { level, index, width }: TilePlace): Promise<Uint8Array> {
  const start = index * TILE_WIDTH;
  if (level === null) {
    const rows = await logRange(handle, start, start + width);
    return concat(...rows.map((row) => entryBytes(row.entryJson)));
  }
  const places = Array.from({ length: width }, (_, i) => ({ level: level * TILE_HEIGHT, nodeIndex: start + i }));
  const hashes = await logNodes(handle, places);
  return concat(...places.map((place) => fromHex(hashes.get(nodeKey(place))!)));
}

function entryBytes(entryJson: string): Uint8Array {
  const bytes = utf8(entryJson);
  if (bytes.length > ENTRY_BYTES_MAX) throw new RangeError('log entry too long for a tile');
  return concat(Uint8Array.of(bytes.length >>> 8, bytes.length & 255), bytes);
}
