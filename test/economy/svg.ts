/** Small plots as SVG: points and lines over linear or logarithmic axes. */

export interface Series {
  readonly name: string;
  readonly points: readonly (readonly [x: number, y: number])[];
  readonly style: 'line' | 'points';
}

export interface Axis {
  readonly title: string;
  readonly isLog?: boolean;
}

export interface Plot {
  readonly title: string;
  readonly x: Axis;
  readonly y: Axis;
  readonly series: readonly Series[];
  /** Lines across, such as an aim. */
  readonly marks?: readonly { readonly y: number; readonly name: string }[];
  /** Under the plot: date and commit. */
  readonly note: string;
}

const [WIDTH, HEIGHT] = [720, 440];
const FRAME = { left: 70, right: 500, top: 40, bottom: 370 };
const COLOURS = ['#1b6ca8', '#c0392b', '#27864b', '#8e44ad', '#b9770e', '#117a7a', '#555555', '#d35493'];
const TICKS = 5;

type Scale = (value: number) => number;

export function svgOf({ title, x, y, series, marks = [], note }: Plot): string {
  const xs = series.flatMap(({ points }) => points.map(([value]) => value));
  const ys = [...series.flatMap(({ points }) => points.map(([, value]) => value)), ...marks.map((mark) => mark.y)];
  const [toX, xTicks] = scaleOf(xs, x, FRAME.left, FRAME.right);
  const [toY, yTicks] = scaleOf(ys, y, FRAME.bottom, FRAME.top);
  const parts = [
    text(WIDTH / 2 - 70, 22, title, 'middle', 15),
    `<rect x="${FRAME.left}" y="${FRAME.top}" width="${FRAME.right - FRAME.left}" height="${FRAME.bottom - FRAME.top}" fill="none" stroke="#888"/>`,
    ...xTicks.map((tick) => text(toX(tick), FRAME.bottom + 16, labelOf(tick), 'middle')),
    ...yTicks.flatMap((tick) => [
      text(FRAME.left - 6, toY(tick) + 4, labelOf(tick), 'end'),
      line(FRAME.left, toY(tick), FRAME.right, toY(tick), '#e4e4e4'),
    ]),
    text((FRAME.left + FRAME.right) / 2, FRAME.bottom + 36, x.title, 'middle'),
    `<text transform="translate(16 ${(FRAME.top + FRAME.bottom) / 2}) rotate(-90)" text-anchor="middle" font-size="12">${escaped(y.title)}</text>`,
    ...marks.flatMap((mark) => [
      line(FRAME.left, toY(mark.y), FRAME.right, toY(mark.y), '#999', '4 3'),
      text(FRAME.right - 4, toY(mark.y) - 4, mark.name, 'end'),
    ]),
    ...series.flatMap((one, at) => drawn(one, COLOURS[at % COLOURS.length]!, toX, toY, FRAME.top + 12 + 18 * at)),
    text(FRAME.left, HEIGHT - 10, note, 'start', 10),
  ];
  const head = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="sans-serif">`;
  return `${head}\n<title>${escaped(title)}</title>\n<rect width="${WIDTH}" height="${HEIGHT}" fill="white"/>\n${parts.join('\n')}\n</svg>\n`;
}

function drawn({ name, points, style }: Series, colour: string, toX: Scale, toY: Scale, legendY: number): string[] {
  const placed = points.map(([px, py]) => [toX(px).toFixed(1), toY(py).toFixed(1)] as const);
  const dots = placed.map(([px, py]) => `<circle cx="${px}" cy="${py}" r="3" fill="${colour}"/>`);
  const path = `<polyline fill="none" stroke="${colour}" stroke-width="1.5" points="${placed.map((at) => at.join(',')).join(' ')}"/>`;
  const key = `<circle cx="${FRAME.right + 14}" cy="${legendY - 4}" r="4" fill="${colour}"/>`;
  return [...(style === 'line' ? [path] : []), ...dots, key, text(FRAME.right + 24, legendY, name, 'start')];
}

function scaleOf(values: readonly number[], { isLog = false }: Axis, from: number, to: number): [Scale, number[]] {
  const known = values.filter((value) => Number.isFinite(value) && (!isLog || value > 0));
  const [least, most] = [Math.min(...known), Math.max(...known)];
  const inner = isLog ? Math.log10 : (value: number) => value;
  const [low, high] = [inner(least), most > least ? inner(most) : inner(least) + 1];
  const scale = (value: number) => from + ((inner(value) - low) / (high - low)) * (to - from);
  const ticks = Array.from({ length: TICKS }, (_, i) => low + ((high - low) * i) / (TICKS - 1));
  return [scale, isLog ? ticks.map((tick) => 10 ** tick) : ticks];
}

function line(x1: number, y1: number, x2: number, y2: number, colour: string, dash = ''): string {
  const dashes = dash === '' ? '' : ` stroke-dasharray="${dash}"`;
  return `<line x1="${x1}" y1="${y1.toFixed(1)}" x2="${x2}" y2="${y2.toFixed(1)}" stroke="${colour}"${dashes}/>`;
}

function text(x: number, y: number, words: string, anchor: string, size = 12): string {
  return `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" text-anchor="${anchor}" font-size="${size}">${escaped(words)}</text>`;
}

function labelOf(value: number): string {
  return Math.abs(value) >= 1e5 ? value.toExponential(1) : `${Number(value.toPrecision(3))}`;
}

export function escaped(words: string): string {
  return words.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
