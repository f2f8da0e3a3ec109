/**
 * Kills the real gateway at random instants under load, starts it again over the same file, and checks everything that must
 * hold (SPEC.md §11.7). Many lives share a data folder; its history makes every check harder.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { sha256, utf8 } from '#protocol/hash';
import { readModel } from '#protocol/model-folder';
import { privateKeyText } from '#protocol/private-key';
import { nativeSigner, recoverNative } from '#protocol/signer-native';
import { createTextModel, type TextModel } from '#protocol/text';
import { type TrustedKeys, verifyResponse } from '#protocol/verify';
import { logSignerOf } from '../../gateway/attest/log-signer.ts';
import { folderReader } from '../../gateway/model-reader.ts';
import { writeLightModel } from '../fixtures/light-model.ts';
import { SeededRng } from '../simulation/seeded-rng.ts';
import { checkAfterCrash, type FolderHistory } from './after-crash.ts';
import { type GatewayProcess, type GatewaySettings, startGatewayProcess } from './gateway-process.ts';
import { type GatewayEvent, type KillPoint, killName, killPoint, type Pace, patienceMs } from './kill-points.ts';
import { startLightNetwork } from './light-providers.ts';
import { drive, type KeyedCall, type TrafficCounts } from './traffic.ts';
import { Witness } from './witness.ts';

const MODEL_ID = 'light';
const ORIGIN = 'crash.example/log';
const API_KEY = 'sk-assay-crash-harness';
/** Clients at one time. */
const CONCURRENCY = 3;
/** Learned from then on; the share that each new measurement has. */
const PACE_GUESS: Pace = { startMs: 800, answerMs: 1_000 };
const PACE_SHARE = 0.2;
const SLOWER = 1.25;
/** The last life of a folder is not killed: all disputes must come to their end. */
const SETTLE_PATIENCE_MS = 30_000;

export interface CrashOptions {
  readonly points: number;
  readonly seed: string;
  /** Lives that share one data folder. */
  readonly perFolder: number;
  /** Ends a run early, between two folders. */
  readonly over?: () => boolean;
  readonly progress?: (done: number, problems: number) => void;
}

export interface CrashResult {
  readonly points: number;
  /** Kills by what they came after. */
  readonly kills: Readonly<Record<string, number>>;
  readonly counts: TrafficCounts;
  readonly pace: Pace;
  readonly verified: number;
  readonly disputes: number;
  readonly logEntries: number;
  readonly problems: readonly string[];
}

/** Runs all points; every problem names its seed, folder and life. */
export async function crashGateway(options: CrashOptions): Promise<CrashResult> {
  const counts: TrafficCounts = { answered: 0, streamed: 0, repeated: 0, refused: 0, broken: 0 };
  const pace = { ...PACE_GUESS };
  const problems: string[] = [];
  const kills: Record<string, number> = {};
  const sums = { verified: 0, disputes: 0, logEntries: 0 };
  const modelHome = mkdtempSync(path.join(tmpdir(), 'assay-crash-model-'));
  const modelFolder = path.join(modelHome, MODEL_ID);
  writeLightModel(modelFolder);
  const { modelDigest: digest, textFiles } = await readModel(folderReader(modelFolder));
  const model = { folder: modelFolder, digest, text: createTextModel(textFiles) };
  let done = 0;
  for (let folder = 0; done < options.points && !options.over?.(); folder++) {
    const lives = Math.min(options.perFolder, options.points - done);
    const world = await Folder.open(`${options.seed}/${folder}`, model, { counts, pace, problems });
    try {
      for (let life = 0; life < lives; life++) {
        const name = killName(await world.life(life));
        kills[name] = (kills[name] ?? 0) + 1;
        done++;
        options.progress?.(done, problems.length);
      }
      await world.settle();
      sums.verified += world.verified;
      sums.disputes += world.disputes;
      sums.logEntries += world.logEntries;
    } finally {
      await world.close();
    }
  }
  rmSync(modelHome, { recursive: true, force: true });
  return { points: done, kills, counts, pace, problems, ...sums };
}

/** What all folders of a run add to. */
interface Totals {
  readonly counts: TrafficCounts;
  readonly pace: Pace;
  readonly problems: string[];
}

interface ServedText {
  readonly folder: string;
  readonly digest: Awaited<ReturnType<typeof readModel>>['modelDigest'];
  readonly text: TextModel;
}

/** One data folder, the network around it, and what left it. */
class Folder {
  verified = 0;
  disputes = 0;
  readonly #rng: SeededRng;
  readonly #folder: string;
  readonly #witness: Witness;
  readonly #history: FolderHistory = { leaves: [], roots: [] };
  readonly #calls = new Map<string, KeyedCall>();
  readonly #unverified: string[] = [];
  readonly #trusted: TrustedKeys;
  readonly #counts: TrafficCounts;
  readonly #text: TextModel;
  readonly #report: (problem: string) => void;
  #settings!: GatewaySettings;
  #closeNetwork: () => Promise<void> = async () => {};
  #saw: (event: GatewayEvent) => void = () => {};
  readonly #pace: Pace;

  private constructor(seed: string, text: TextModel, totals: Totals) {
    this.#rng = new SeededRng(seed);
    this.#folder = mkdtempSync(path.join(tmpdir(), 'assay-crash-'));
    this.#counts = totals.counts;
    this.#pace = totals.pace;
    this.#text = text;
    this.#report = (problem) => totals.problems.push(`[seed ${seed}] ${problem}`);
    const master = sha256(utf8('crash gateway'));
    const signer = nativeSigner(master);
    const { origin, ed25519, address } = logSignerOf(ORIGIN, master, signer);
    this.#trusted = { gatewayAddress: signer.address, logKeys: { origin, ed25519, address } };
    this.#witness = new Witness({ origin, ed25519, address }, this.#report);
    mkdirSync(path.join(this.#folder, 'data'));
    writeFileSync(path.join(this.#folder, 'key'), privateKeyText(master), { mode: 0o600 });
  }

  static async open(seed: string, model: ServedText, totals: Totals): Promise<Folder> {
    const folder = new Folder(seed, model.text, totals);
    const network = await startLightNetwork({
      seed: folder.#rng.branch('network'),
      modelId: MODEL_ID,
      digest: model.digest,
      text: model.text,
      gateway: folder.#trusted.gatewayAddress!,
      witness: () => folder.#witness,
      saw: (event) => folder.#saw(event),
    });
    folder.#closeNetwork = network.close;
    folder.#settings = {
      dataFolder: path.join(folder.#folder, 'data'),
      keyFile: path.join(folder.#folder, 'key'),
      modelFolder: model.folder,
      providers: network.members,
      referee: network.referee,
      apiKey: API_KEY,
      logOrigin: ORIGIN,
      flags: ['--appeal-ms=0', '--round-timeout-ms=5000', '--job-timeout-ms=10000', `--client-nano=${10n ** 13n}`],
    };
    return folder;
  }

  get logEntries(): number {
    return this.#history.leaves.length;
  }

  /** One life: start, check what the last one left, load, kill. */
  async life(number: number): Promise<KillPoint> {
    const rng = this.#rng.branch(`life ${number}`);
    const point = killPoint(rng, this.#pace);
    const gateway = startGatewayProcess(this.#settings);
    if (point.kind === 'start') void delay(point.afterMs).then(() => gateway.kill());
    const url = await gateway.ready;
    if (url !== null) {
      learn(this.#pace, 'startMs', performance.now() - gateway.startedAt);
      if (point.kind !== 'start') await this.#check(`life ${number}`, true);
      await this.#load(url, rng, point, gateway);
    } else if (point.kind !== 'start') {
      this.#report(`life ${number}: the gateway ended before it was ready: ${gateway.stderr().slice(-500)}`);
    }
    await gateway.gone;
    const said = gateway.stderr().replaceAll(/^.*does not answer yet\n/gm, '');
    if (said !== '') this.#report(`life ${number}: the gateway said: ${said.slice(0, 500)}`);
    this.#verifyAnswers();
    return point;
  }

  /** The last life: nothing is killed, disputes end, holds are gone, and the gateway stops by itself. */
  async settle(): Promise<void> {
    const gateway = startGatewayProcess(this.#settings);
    const url = await gateway.ready;
    if (url === null) {
      this.#report(`the last life did not start: ${gateway.stderr().slice(-500)}`);
      return;
    }
    const until = performance.now() + SETTLE_PATIENCE_MS;
    for (;;) {
      const { data } = (await (await fetch(`${url}/v1/disputes`)).json()) as { data: { state: string }[] };
      this.disputes = data.length;
      if (data.every(({ state }) => state === 'settled')) break;
      if (performance.now() > until) {
        this.#report(`disputes that nobody took up: ${data.filter(({ state }) => state !== 'settled').length}`);
        break;
      }
      await delay(50);
    }
    gateway.child.kill('SIGTERM');
    await gateway.gone;
    await this.#check('the end', true);
  }

  async close(): Promise<void> {
    await this.#closeNetwork();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  async #load(url: string, rng: SeededRng, point: KillPoint, gateway: GatewayProcess): Promise<void> {
    const stop = new AbortController();
    const before = this.#counts.answered;
    this.#saw = point.kind === 'event' ? killAfter(point, () => gateway.kill()) : () => {};
    const timer = setTimeout(() => gateway.kill(), patienceMs(point, this.#pace));
    void gateway.gone.then(() => stop.abort());
    await drive(
      {
        url,
        apiKey: API_KEY,
        model: MODEL_ID,
        rng: rng.branch('clients'),
        concurrency: CONCURRENCY,
        calls: this.#calls,
        witness: this.#witness,
        saw: (event) => this.#saw(event),
        report: this.#report,
        saved: (text) => this.#unverified.push(text),
        took: (ms) => learn(this.#pace, 'answerMs', ms),
      },
      this.#counts,
      stop.signal,
    );
    clearTimeout(timer);
    this.#saw = () => {};
    // A life without an answer teaches nothing but that answers take longer here.
    if (point.kind === 'time' && this.#counts.answered === before) this.#pace.answerMs *= SLOWER;
  }

  async #check(when: string, recovered: boolean): Promise<void> {
    const problems = await checkAfterCrash({
      database: path.join(this.#settings.dataFolder, 'assay.sqlite'),
      origin: ORIGIN,
      witness: this.#witness,
      history: this.#history,
      calls: this.#calls,
      recovered,
    });
    for (const problem of problems) this.#report(`${when}: ${problem}`);
  }

  /** Offline, as any client would: no item may have failed. */
  #verifyAnswers(): void {
    for (const response of this.#unverified.splice(0)) {
      const { items } = verifyResponse({ response, text: this.#text, trusted: this.#trusted, recover: recoverNative });
      for (const { name, status, detail } of items) {
        if (status === 'failed') this.#report(`an answer does not verify: ${name}: ${detail}`);
      }
      this.verified++;
    }
  }
}

function learn(pace: Pace, name: keyof Pace, ms: number): void {
  pace[name] += PACE_SHARE * (ms - pace[name]);
}

/** Kills at the nth event of a kind, and some microseconds more: this process waits, the gateway goes on. */
function killAfter(point: Extract<KillPoint, { kind: 'event' }>, kill: () => void): (event: GatewayEvent) => void {
  let seen = 0;
  return (event) => {
    if (event !== point.event || ++seen !== point.nth) return;
    const until = performance.now() + point.afterUs / 1_000;
    while (performance.now() < until);
    kill();
  };
}
