/** Several prompts of one text completion: which choice answers which of them (SPEC.md §4.4). Pure. */
import { z } from 'zod';
import { zHash, zU32 } from './schema.ts';

/** The prompt of a choice that answers another one than choice 0. */
export const zChoicePrompt = z.strictObject({ promptHash: zHash, promptTokens: zU32 });

type OtherChoices = readonly { readonly prompt?: z.output<typeof zChoicePrompt> | undefined }[];

/**
 * Index of the prompt that a choice answers: every prompt has equally many choices, in a row, as OpenAI orders them.
 * @param counts of all prompts and of all choices; the first divides the second
 */
export function promptOfChoice(choice: number, counts: { readonly prompts: number; readonly choices: number }): number {
  return Math.floor((choice * counts.prompts) / counts.choices);
}

/** How many choices each prompt has. @param others the choices after choice 0; those that name no prompt answer the first */
export function choicesPerPrompt(others: OtherChoices): number {
  const next = others.findIndex(({ prompt }) => prompt !== undefined);
  return 1 + (next < 0 ? others.length : next);
}

/** Whether every prompt has equally many choices, and all of them name the same: else it would be unclear what is counted once. */
export function hasWholePrompts(others: OtherChoices): boolean {
  const perPrompt = choicesPerPrompt(others);
  if ((1 + others.length) % perPrompt !== 0) return false;
  return others.slice(perPrompt - 1).every(({ prompt }, at, later) => {
    const first = later[at - (at % perPrompt)]!.prompt;
    return (
      prompt?.promptHash === first?.promptHash && prompt?.promptTokens === first?.promptTokens && prompt !== undefined
    );
  });
}
