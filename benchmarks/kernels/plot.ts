/** The picture: for each case a bar for ours and for onnxruntime, each as long as its share of the fastest. */

import { number } from "../page";
import { type Report, type Result, resultOf } from "./results";
import { sides } from "./targets";

const [NAME, BAR, LABEL] = [250, 420, 130];
const [ROW, GAP, HEAD] = [12, 10, 58];
const COLORS = { first: "#7fb3d5", second: "#1f618d", web: "#e59866", native: "#a04000", limit: "#99a3a4" };

const escaped = (text: string) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
const text = (x: number, y: number, content: string, more = "") =>
  `<text x="${x}" y="${y}"${more}>${escaped(content)}</text>`;

/** An SVG of 1 thread's rates. */
export function toSvg(report: Report): string {
  const [first, second] = sides(report);
  const groups: { name: string; unit: string; bars: { color: string; result: Result }[] }[] = report.cases.map(
    (found) => {
      const candidates: [string, Result | null][] = [
        [COLORS.first, first.ours(found, 1)],
        [COLORS.second, second.ours(found, 1)],
        [COLORS.web, second.web(found, 1)],
        [COLORS.native, resultOf(found, { library: "onnxruntime-node", threads: 1 })],
        [COLORS.limit, resultOf(found, { library: "limit", threads: 1 })],
      ];
      const bars = candidates.flatMap(([color, result]) => (result === null ? [] : [{ color, result }]));
      return { name: found.name, unit: found.unit, bars };
    },
  );
  const parts: string[] = [];
  const legend = [
    [COLORS.first, `qkv, ${first.name}`],
    [COLORS.second, `qkv, ${second.name}`],
    [COLORS.web, "onnxruntime-web"],
    [COLORS.native, "onnxruntime-node"],
    [COLORS.limit, "limit"],
  ];
  let x = 10;
  for (const [color, name] of legend) {
    parts.push(`<rect x="${x}" y="32" width="10" height="10" fill="${color}"/>`, text(x + 14, 41, name));
    x += 30 + 5.9 * name.length;
  }
  let y = HEAD;
  for (const { name, unit, bars } of groups) {
    const fastest = Math.max(...bars.map(({ result }) => result.rate));
    parts.push(text(NAME - 8, y + (bars.length * ROW) / 2 + 4, name, ' text-anchor="end"'));
    for (const { color, result } of bars) {
      const width = Math.max(1, (BAR * result.rate) / fastest);
      parts.push(
        `<rect x="${NAME}" y="${y}" width="${width.toFixed(1)}" height="${ROW - 2}" fill="${color}"/>`,
        text(NAME + width + 4, y + ROW - 3, `${number(result.rate)} ${unit}`, ' font-size="9"'),
      );
      y += ROW;
    }
    y += GAP;
  }
  const size = `width="${NAME + BAR + LABEL}" height="${y}"`;
  const title = `Kernels on 1 thread, ${report.machine.cpu}, ${report.date}: rates, each case by its fastest`;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" ${size} font-family="sans-serif" font-size="11">`,
    `<title>${escaped(title)}</title>`,
    `<rect ${size} fill="white"/>`,
    text(10, 20, title, ' font-size="14"'),
    ...parts,
    "</svg>\n",
  ].join("\n");
}
