/**
 * The program of a page's search. It becomes text, so it uses nothing from outside; and it is JavaScript, since packages may
 * not ask for the types of pages.
 */
export function searchPage() {
  const input = document.querySelector("input[type=search]");
  const found = document.querySelector("#found");
  const root = input.dataset.root;
  let loading;
  const load = () =>
    loading ??= new Promise((resolve) => {
      const script = document.createElement("script");
      script.src = `${root}search.js`;
      script.onload = resolve;
      document.head.append(script);
    });
  const scoreOf = ({ title, text }, words) => {
    const [head, all] = [title.toLowerCase(), `${title} ${text}`.toLowerCase()];
    if (!words.every((word) => all.includes(word))) return 0;
    return words.reduce(
      (sum, word) => sum + (head.includes(word) ? 20 : Math.min(all.split(word).length, 9)),
      0,
    );
  };
  const excerptOf = (text, word) => {
    const from = Math.max(0, text.toLowerCase().indexOf(word) - 50);
    return `${from > 0 ? "… " : ""}${text.slice(from, from + 140)}`;
  };
  const show = async () => {
    await load();
    const words = input.value.toLowerCase().split(/\s+/).filter((word) => word !== "");
    const all = words.length === 0 ? [] : globalThis.searchSections
      .map((section) => ({ section, score: scoreOf(section, words) }))
      .filter(({ score }) => score > 0).sort((a, b) => b.score - a.score);
    found.hidden = words.length === 0;
    found.querySelector("p").textContent = `${all.length} ${all.length === 1 ? "section" : "sections"}`;
    found.querySelector("ol").replaceChildren(
      ...all.slice(0, 12).map(({ section }) => {
        const link = document.createElement("a");
        link.href = `${root}${section.path}${section.anchor && `#${section.anchor}`}`;
        link.textContent = section.title;
        const text = document.createElement("p");
        text.textContent = `${section.path.replace(".html", "")}: ${excerptOf(section.text, words[0])}`;
        const item = document.createElement("li");
        item.append(link, text);
        return item;
      }),
    );
  };
  input.addEventListener("focus", load);
  input.addEventListener("input", show);
  document.addEventListener("keydown", ({ key }) => {
    if (key === "Escape") found.hidden = true;
  });
  found.addEventListener("click", () => found.hidden = true);
}
