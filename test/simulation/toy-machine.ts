/** Toy engines as simulated machines: a numeric class that the judge knows, and tokens that take virtual time. */
import type { Calibration } from '#protocol/calibration';
import type { Clock } from '#protocol/env';
import { type Hash, sha256, toHex, utf8 } from '#protocol/hash';
import type { ModelEntry } from '../../gateway/openai/answer.ts';
import type { Engine } from '../../provider/engine/engine.ts';
import { createToyEngine, TOY_TEXT } from '../../provider/engine/toy.ts';
import { calibrationOfClasses } from '../fixtures/calibrations.ts';

/** Two machines with this noise differ by at most 4 × 0.002 between two tokens: below the class pair's tie of 0.01. */
export const HONEST_JITTER = 0.002;

const DIGEST = toHex(sha256(utf8('toy')));
/** What tests call their noisy machines. */
const SALTS = ['exact', 'a', 'b', 'referee', ...Array.from({ length: 16 }, (_, i) => `p${i}`)];

function classOf(salt: string): string {
  return `toy-1/cpu/fp32/fp32/${salt}`;
}

export const TOY_MODEL: ModelEntry = {
  id: 'toy',
  digest: DIGEST,
  created: 0,
  ownedBy: 'test',
  contextMax: TOY_TEXT.contextMax,
  text: TOY_TEXT,
  calibrations: [calibrationOfClasses(DIGEST, SALTS.map(classOf))],
  price: { inputNanoPerMtok: 50_000_000n, outputNanoPerMtok: 200_000_000n },
};

export function toyCalibration(hash: Hash): Calibration | null {
  return TOY_MODEL.calibrations.find((known) => known.hash === hash)?.calibration ?? null;
}

export interface MachineOptions {
  /** Another salt is another model. */
  readonly salt?: string;
  readonly jitter?: number;
  readonly classSalt?: string;
}

export function toyMachine({ salt = 'real', jitter = 0, classSalt = 'a' }: MachineOptions = {}): Engine {
  const engine = createToyEngine({ salt, jitter, classSalt });
  return {
    info: { ...engine.info, numericClass: classOf(jitter === 0 ? 'exact' : classSalt) },
    text: engine.text,
    generate: (request) => engine.generate(request),
    score: (request) => engine.score(request),
    close: () => engine.close(),
  };
}

/** An engine that lies under one sampler key and is honest under all others; without a key it always lies. */
export function underSeed(seed: bigint | undefined, lying: Engine, honest: Engine): Engine {
  if (seed === undefined) return lying;
  const of = (request: { readonly seed: bigint }) => (request.seed === seed ? lying : honest);
  return {
    info: honest.info,
    text: honest.text,
    generate: (request) => of(request).generate(request),
    score: (request) => of(request).score(request),
    close: () => honest.close(),
  };
}

/** Every eighth token takes `eighthMs` of virtual time, and so does a score. */
export function paced(engine: Engine, clock: Clock, eighthMs: number): Engine {
  return {
    info: engine.info,
    text: engine.text,
    async *generate(request) {
      let count = 0;
      for await (const token of engine.generate(request)) {
        if (count++ % 8 === 0) await clock.sleep(eighthMs, request.signal);
        yield token;
      }
    },
    async score(request) {
      await clock.sleep(eighthMs, request.signal);
      return engine.score(request);
    },
    close: () => engine.close(),
  };
}
