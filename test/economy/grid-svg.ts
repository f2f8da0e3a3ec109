/** The grid of best strategies as a table in SVG: green where cheating loses, red where it wins, grey where nobody can tell. */
import { GRID, type GridCell } from './grid.ts';
import { escaped } from './svg.ts';

const CELL = { width: 165, height: 34 };
const FRAME = { left: 170, top: 64 };
const COLOURS = { wins: '#f3b8b0', loses: '#bfe3c8', open: '#e6e6e6' } as const;
const NAME_MAX = 30;

export function gridSvg(cells: readonly GridCell[], note: string): string {
  const { stakes, ratesPpm, collusions } = GRID;
  const rows = stakes.flatMap((stake) => collusions.map((collusion) => ({ stake, collusion })));
  const width = FRAME.left + ratesPpm.length * CELL.width + 10;
  const height = FRAME.top + rows.length * CELL.height + 30;
  const title =
    'What the best strategy found wins, in prices of an answer, over stake, audit rate and share of accomplices';
  const head = ratesPpm.map((ppm, column) =>
    words(middleOf(column), FRAME.top - 10, `rate ${ppm / 1e4}%`, 'middle', 12),
  );
  const body = rows.flatMap(({ stake, collusion }, row) => {
    const y = FRAME.top + row * CELL.height;
    const label = words(
      FRAME.left - 8,
      y + 21,
      `stake ${stake}, accomplices ${Math.round(collusion * 100)}%`,
      'end',
      12,
    );
    const drawn = ratesPpm.flatMap((ppm, column) => {
      const cell = cells.find((one) => one.stake === stake && one.collusion === collusion && one.ratePpm === ppm);
      return cell === undefined ? [] : cellOf(cell, FRAME.left + column * CELL.width, y, middleOf(column));
    });
    return [label, ...drawn];
  });
  const parts = [words(width / 2, 22, title, 'middle', 14), ...head, ...body, words(10, height - 8, note, 'start', 10)];
  const open = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="sans-serif">`;
  return `${open}\n<title>${escaped(title)}</title>\n<rect width="${width}" height="${height}" fill="white"/>\n${parts.join('\n')}\n</svg>\n`;
}

function cellOf({ gain, half, strategy }: GridCell, x: number, y: number, middle: number): string[] {
  const colour = gain - half > 0 ? COLOURS.wins : gain + half < 0 ? COLOURS.loses : COLOURS.open;
  const name = strategy.length > NAME_MAX ? `${strategy.slice(0, NAME_MAX)}…` : strategy;
  return [
    `<rect x="${x}" y="${y}" width="${CELL.width}" height="${CELL.height}" fill="${colour}" stroke="white"/>`,
    words(middle, y + 15, `${shown(gain)} ± ${shown(half)}`, 'middle', 12),
    words(middle, y + 28, name, 'middle', 9),
  ];
}

const middleOf = (column: number) => FRAME.left + (column + 0.5) * CELL.width;
const shown = (value: number) => `${Number(value.toPrecision(3))}`;

function words(x: number, y: number, text: string, anchor: string, size: number): string {
  return `<text x="${x}" y="${y}" text-anchor="${anchor}" font-size="${size}">${escaped(text)}</text>`;
}
