import type { StudyFindings } from "./data.ts";
import { type Markup, markup } from "./markup.ts";
import { shownPassages } from "./passages.ts";
import { base64 } from "./quantise.ts";
import { details, table } from "./tables.ts";

/** What a study found: its conclusion, its figure and its tables, of which the first is open. */
export function studySection({ passages, figure, tables: [first, ...others] }: StudyFindings): Markup {
  return markup`<section class="study" aria-labelledby="study-title">
<h2 id="study-title">The study</h2>
${shownPassages(passages)}
${figure && still(figure)}
${first && markup`<h3>${first.title}</h3>${table(first.head, first.rows)}`}
${others.map(({ title, head, rows }) => details(title, table(head, rows)))}
</section>`;
}

function still({ svg, text }: NonNullable<StudyFindings["figure"]>): Markup {
  const address = `data:image/svg+xml;base64,${base64(new TextEncoder().encode(svg))}`;
  return markup`<figure><img class="wide" src="${address}" alt="${text}"><figcaption>${text}</figcaption></figure>`;
}
