/// <reference lib="dom" />

/** Lets readers select a sample in each gallery, and filter by verdict or by requested and seen classes. */
export function showGalleries(): void {
  for (const place of document.querySelectorAll<HTMLElement>(".gallery")) showGallery(place);
}

function showGallery(place: HTMLElement): void {
  const samples = [...place.querySelectorAll<HTMLButtonElement>(".sample")];
  const cells = [...place.querySelectorAll<HTMLButtonElement>(".cell")];
  const select = place.querySelector("select");
  const [large, caption, count] = ["img", "figcaption", "output"].map((name) => place.querySelector(name)!);
  const press = (all: readonly HTMLElement[], chosen?: HTMLElement) =>
    all.forEach((one) => one.setAttribute("aria-pressed", `${one === chosen}`));
  for (const sample of samples) {
    sample.addEventListener("click", () => {
      press(samples, sample);
      (large as HTMLImageElement).src = sample.querySelector("img")!.src;
      caption.textContent = sample.title;
    });
  }
  const filter = (isShown: (sample: HTMLElement) => boolean) => {
    for (const sample of samples) sample.hidden = !isShown(sample);
    const shown = samples.filter(({ hidden }) => !hidden).length;
    count.textContent = shown === samples.length ? "" : `${shown} of ${samples.length} samples`;
  };
  for (const cell of cells) {
    cell.addEventListener("click", () => {
      const isChosen = cell.getAttribute("aria-pressed") === "true";
      press(cells, isChosen ? undefined : cell);
      if (select) select.value = "all";
      const { asked, seen } = cell.dataset;
      filter(({ dataset }) => isChosen || dataset.asked === asked && dataset.seen === seen);
    });
  }
  select?.addEventListener("change", () => {
    press(cells);
    filter(({ dataset: { disputed }, classList }) =>
      select.value === "all" || (select.value === "wrong" ? classList.contains("wrong") : disputed === "yes")
    );
  });
}
