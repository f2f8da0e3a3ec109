/** What is done with a field of a request: honoured, ignored for a reason, or refused by its name. */

export interface Treatment {
  readonly how: 'honoured' | 'ignored' | 'refused';
  /** Why it is ignored, or may be. */
  readonly why?: string;
  /** Values that are accepted. */
  readonly takes: readonly unknown[];
  /** Values that are a 400 with this field as `param`. */
  readonly refuses: readonly unknown[];
}

export const honoured = (takes: readonly unknown[], refuses: readonly unknown[] = []): Treatment => ({
  how: 'honoured',
  takes,
  refuses,
});
export const ignored = (why: string, takes: readonly unknown[], refuses: readonly unknown[] = []): Treatment => ({
  how: 'ignored',
  why,
  takes,
  refuses,
});
/** @param takes values that ask for what is done anyway */
export const refused = (takes: readonly unknown[], refuses: readonly unknown[]): Treatment => ({
  how: 'refused',
  takes,
  refuses,
});
