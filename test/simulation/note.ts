/** Size and root of a checkpoint note, without looking at its signatures. */
export function openedNote(note: string): { size: number; root: string } {
  const [, size, root] = note.split('\n');
  return { size: Number(size), root: root ?? '' };
}
