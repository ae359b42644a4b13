import { base64 } from "../image/base64.ts";
import { imageGrid } from "../image/grid.ts";
import { encodePng } from "../image/png.ts";
import { type Markup, markup } from "./markup.ts";
import type { JudgedSamples } from "./report_data.ts";
import { percent } from "./series.ts";

/** Maximum number of classes for a table of requested and seen classes. */
const maxClasses = 12;

/**
 * A gallery of samples, with the selected one enlarged beside its nearest training images, and filters by verdict and by
 * requested and seen classes. Without its program, the page shows all samples, with the first one enlarged.
 */
export function gallery(samples: JudgedSamples, classNames: readonly string[]): Markup {
  const { shape: [N, K, C, H, W], image, nearest, confidence, classes, labels, second, rank } = samples;
  const P = C * H * W;
  const nameOf = (c: number) => classNames[c] ?? `${c}`;
  const all = Array.from({ length: N }, (_, n) => {
    const pixels = new Float32Array((K + 1) * P);
    pixels.set(image.subarray(n * P, (n + 1) * P));
    pixels.set(nearest.subarray(n * K * P, (n + 1) * K * P), P);
    const png = encodePng(imageGrid(pixels, [K + 1, C, H, W], { columns: K + 1, gap: 2 }));
    const asked = labels && `requested ${nameOf(labels[n])}, `;
    const other = second &&
      `; second judge: ${nameOf(second.classes[n])} with ${second.confidence[n].toFixed(2)}`;
    return {
      address: `data:image/png;base64,${base64(png)}`,
      asked: labels?.[n],
      seen: classes[n],
      words: `${asked ?? ""}seen ${nameOf(classes[n])} with ${confidence[n].toFixed(2)}${other ?? ""}; ` +
        `${percent(rank[n], 0)} of samples are less certain`,
      isWrong: labels !== undefined && labels[n] !== classes[n],
      isDisputed: second !== undefined && second.classes[n] !== classes[n],
    };
  });
  const thumbnails = all.map(({ address, asked, seen, words, isWrong, isDisputed }, n) =>
    markup`<button type="button" class="sample${isWrong ? " wrong" : ""}" aria-pressed="${
      n === 0 ? "true" : "false"
    }" data-asked="${asked}" data-seen="${seen}" data-disputed="${
      isDisputed ? "yes" : "no"
    }" title="${words}">
<img src="${address}" alt="Sample ${n + 1}: ${words}" style="aspect-ratio:${W}/${H}"></button>`
  );
  const filters = [{ value: "all", words: "all samples" }];
  if (all.some(({ isWrong }) => isWrong)) {
    filters.push({ value: "wrong", words: "requested and seen classes differ" });
  }
  if (all.some(({ isDisputed }) => isDisputed)) {
    filters.push({ value: "disputed", words: "judges disagree" });
  }
  const options = filters.map(({ value, words }) => markup`<option value="${value}">${words}</option>`);
  const [{ address, words }] = all;
  return markup`<div class="gallery">
<figure class="enlarged"><img src="${address}" alt=""><figcaption aria-live="polite">${words}</figcaption></figure>
<p class="small">On the left is the sample, followed by its ${K} nearest training images: a sample that equals one is a copy.
The judge is a small classifier; each class that it sees has a probability.</p>
<div class="controls">${
    options.length > 1 ? markup`<label>Show <select>${options}</select></label>` : undefined
  }
<output class="small"></output></div>
<div class="judged">${thumbnails}</div>
${labels && confusion(all, nameOf)}</div>`;
}

/** Counts of requested (rows) and seen (columns) classes; clicking a count filters the samples. */
function confusion(
  all: readonly { readonly asked: number | undefined; readonly seen: number }[],
  nameOf: (c: number) => string,
): Markup | undefined {
  const classes = [...new Set(all.flatMap(({ asked, seen }) => [asked!, seen]))].sort((a, b) => a - b);
  if (classes.length > maxClasses) return undefined;
  const rows = classes.map((asked) =>
    markup`<tr><th scope="row">${nameOf(asked)}</th>${
      classes.map((seen) => {
        const count = all.filter((one) => one.asked === asked && one.seen === seen).length;
        return count === 0
          ? markup`<td></td>`
          : markup`<td><button type="button" class="cell${
            asked === seen ? "" : " wrong"
          }" data-asked="${asked}" 
data-seen="${seen}" aria-pressed="false" 
aria-label="${count} requested ${nameOf(asked)}, seen ${nameOf(seen)}">${count}</button></td>`;
      })
    }</tr>`
  );
  const heads = classes.map((c) => markup`<th scope="col">${nameOf(c)}</th>`);
  return markup`<div class="scroll"><table class="confusion"><caption class="small">Requested class (rows) and seen class (columns)</caption>
<thead><tr><td></td>${heads}</tr></thead><tbody>${rows}</tbody></table></div>`;
}
