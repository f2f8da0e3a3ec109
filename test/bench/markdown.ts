/** Tables and numbers as pages have them. Pure. */

/** A table of Markdown, its cells as short as they are. */
export function tableOf(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}

/** With a comma before every three digits. */
export function grouped(count: number): string {
  return count.toString().replace(/\B(?=(\d{3})+$)/g, ',');
}

/** Two significant digits. */
export function rounded(value: number): string {
  return Number(value.toPrecision(2)).toString();
}
