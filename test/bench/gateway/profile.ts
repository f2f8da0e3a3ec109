/** Where the time of a process goes, from what `node --cpu-prof` wrote: by library, by our own function, by hot function. Pure. */

interface ProfileNode {
  readonly id: number;
  readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number };
  readonly children?: readonly number[];
}

export interface CpuProfile {
  readonly nodes: readonly ProfileNode[];
  readonly samples: readonly number[];
  /** Microseconds between samples. */
  readonly timeDeltas: readonly number[];
}

const HOT_MAX = 25;
const IDLE = new Set(['(idle)', '(program)']);

/** Microseconds of busy time by group: self time for libraries and functions, time with callees for our own functions. */
export function timesOf(profile: CpuProfile) {
  const byId = new Map(profile.nodes.map((node) => [node.id, node]));
  const parents = new Map(
    profile.nodes.flatMap((node) => (node.children ?? []).map((child) => [child, node.id] as const)),
  );
  const self = new Map<number, number>();
  profile.samples.forEach((id, i) => {
    self.set(id, (self.get(id) ?? 0) + profile.timeDeltas[i]!);
  });
  const libraries = new Map<string, number>();
  const functions = new Map<string, number>();
  const ours = new Map<string, number>();
  let busyUs = 0;
  const add = (map: Map<string, number>, key: string, us: number) => map.set(key, (map.get(key) ?? 0) + us);
  for (const [id, us] of self) {
    const node = byId.get(id)!;
    if (IDLE.has(node.callFrame.functionName)) continue;
    busyUs += us;
    add(libraries, libraryOf(node), us);
    add(functions, nameOf(node), us);
    const seen = new Set<string>();
    for (let at: number | undefined = id; at !== undefined; at = parents.get(at)) {
      const frame = byId.get(at)!;
      const name = nameOf(frame);
      if (!frame.callFrame.url.includes('/dist/') || seen.has(name)) continue;
      seen.add(name);
      add(ours, name, us);
    }
  }
  return { busyUs, libraries: ranked(libraries), functions: ranked(functions), ours: ranked(ours) };
}

/** A summary as text. @param requests answered while the profile ran, warm-up included */
export function profileText(profile: CpuProfile, requests: number): string {
  const { busyUs, libraries, functions, ours } = timesOf(profile);
  const lines = (title: string, entries: readonly (readonly [string, number])[]) => [
    `\n${title}`,
    ...entries
      .slice(0, HOT_MAX)
      .map(
        ([name, us]) =>
          `${((100 * us) / busyUs).toFixed(1).padStart(6)} % ${(us / requests).toFixed(0).padStart(7)} us  ${name}`,
      ),
  ];
  return [
    `${(busyUs / 1e6).toFixed(1)} s busy, ${requests} requests, ${(busyUs / requests).toFixed(0)} us each (with start and warm-up)`,
    ...lines('by library, own time', libraries),
    ...lines('our functions, time with what they call', ours),
    ...lines('functions, own time', functions),
  ].join('\n');
}

function ranked(map: ReadonlyMap<string, number>): [string, number][] {
  return [...map].sort((a, b) => b[1] - a[1]);
}

function libraryOf({ callFrame: { url, functionName } }: ProfileNode): string {
  const inModules = /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(url)?.[1];
  if (inModules) return inModules;
  if (url.includes('/dist/')) return `assay ${/dist\/([^/]+\/[^/]+)/.exec(url)?.[1] ?? ''}`;
  if (url.startsWith('node:')) return url.split('/').slice(0, 2).join('/');
  return functionName.startsWith('(') ? functionName : 'native';
}

function nameOf({ callFrame: { url, functionName, lineNumber } }: ProfileNode): string {
  const file = url.replace(/^.*\/(node_modules|dist)\//, '').replace(/^node:/, '');
  return `${functionName || '(anonymous)'} ${file}${url === '' ? '' : `:${lineNumber + 1}`}`;
}
