/** How many audits find each cheat: made by `npm run sim:economy -- --only table` of the recorded answers; do not edit. */
import type { MeasuredCheat } from './detection.ts';

type Row = readonly [string, number, number, MeasuredCheat['fault'], number, number, number];

/** Cheat, its share of requests and what it saves in millionths, fault, audits in thousandths on average, audits in half and in 95 of 100 runs. */
const ROWS: readonly Row[] = [
  ['smaller_model', 1_000_000, 900_000, 'wrong_output', 1280, 1, 3],
  ['smaller_model', 500_000, 900_000, 'wrong_output', 2340, 2, 5],
  ['smaller_model', 250_000, 900_000, 'wrong_output', 4930, 4, 12],
  ['smaller_model', 100_000, 900_000, 'wrong_output', 11_760, 8, 36],
  ['smaller_model', 10_000, 900_000, 'wrong_output', 116_364, 81, 348],
  ['int4', 1_000_000, 500_000, 'wrong_output', 1900, 1, 4],
  ['int4', 500_000, 500_000, 'wrong_output', 4330, 3, 12],
  ['int4', 250_000, 500_000, 'wrong_output', 7390, 6, 20],
  ['int4', 100_000, 500_000, 'wrong_output', 18_040, 12, 48],
  ['int4', 10_000, 500_000, 'wrong_output', 206_452, 143, 617],
  ['int8', 1_000_000, 300_000, 'wrong_output', 14_740, 13, 30],
  ['int8', 500_000, 300_000, 'wrong_output', 32_040, 28, 63],
  ['int8', 250_000, 300_000, 'wrong_output', 66_360, 59, 135],
  ['int8', 100_000, 300_000, 'wrong_output', 300_060, 243, 730],
  ['int8', 10_000, 300_000, 'wrong_output', 6_400_000, 4436, 19_172],
  ['replay', 1_000_000, 900_000, 'wrong_output', 1590, 1, 4],
  ['replay', 500_000, 900_000, 'wrong_output', 2510, 2, 7],
  ['replay', 250_000, 900_000, 'wrong_output', 6240, 4, 17],
  ['replay', 100_000, 900_000, 'wrong_output', 16_650, 12, 48],
  ['replay', 10_000, 900_000, 'wrong_output', 148_838, 103, 445],
  ['cut_prompt', 1_000_000, 250_000, 'wrong_output', 2470, 2, 7],
  ['cut_prompt', 500_000, 250_000, 'wrong_output', 5160, 3, 16],
  ['cut_prompt', 250_000, 250_000, 'wrong_output', 8940, 6, 25],
  ['cut_prompt', 100_000, 250_000, 'wrong_output', 27_080, 18, 87],
  ['cut_prompt', 10_000, 250_000, 'wrong_output', 246_154, 171, 736],
  ['drafts', 1_000_000, 500_000, 'wrong_output', 4420, 3, 14],
  ['drafts', 500_000, 500_000, 'wrong_output', 8020, 5, 22],
  ['drafts', 250_000, 500_000, 'wrong_output', 14_730, 11, 46],
  ['drafts', 100_000, 500_000, 'wrong_output', 41_220, 27, 120],
  ['drafts', 10_000, 500_000, 'wrong_output', 412_904, 286, 1236],
  ['forged', 1_000_000, 900_000, 'wrong_output', 1280, 1, 3],
  ['forged', 500_000, 900_000, 'wrong_output', 2340, 2, 5],
  ['forged', 250_000, 900_000, 'wrong_output', 4930, 4, 12],
  ['forged', 100_000, 900_000, 'wrong_output', 11_760, 8, 36],
  ['forged', 10_000, 900_000, 'wrong_output', 116_364, 81, 348],
  ['raised', 1_000_000, 900_000, 'wrong_output', 1280, 1, 3],
  ['raised', 500_000, 900_000, 'wrong_output', 2340, 2, 5],
  ['raised', 250_000, 900_000, 'wrong_output', 4930, 4, 12],
  ['raised', 100_000, 900_000, 'wrong_output', 11_760, 8, 36],
  ['raised', 10_000, 900_000, 'wrong_output', 116_364, 81, 348],
];

export const MEASURED_CHEATS: readonly MeasuredCheat[] = ROWS.map(
  ([cheat, fractionPpm, savedPpm, fault, auditsMilli, audits50, audits95]) => {
    return { cheat, fractionPpm, savedPpm, fault, auditsMilli, audits50, audits95 };
  },
);
