// Which parts of a line are words of the question: what the lists mark.

/** A word: identifiers fall apart at underscores, digits and changes of case, as they do for the server. */
const WORD = /\p{Lu}+(?!\p{Ll})|\p{Lu}?\p{Ll}+|[\p{Lo}\p{Lm}]+|\p{N}+/gu;
/** Words of a sentence that say nothing about the code. */
const EMPTY = new Set(
  'a an and are as at be by can do does for from get how i in into is it its of on or that the then there this to was we what when where which who why with'
    .split(' '),
);
const ENDING = /(?:ations?|ions?|ings?|ers?|ors?|ed|es|ly|s|e)$/;
/** What is left of a word without its ending tells nothing when it is shorter. */
const STEM_LENGTH = 3;

export type Span = [start: number, end: number];

/** The words of the question that are worth marking, without their endings. */
export function asked(question: string): ReadonlySet<string> {
  const words = [...question.matchAll(WORD)].map(([word]) => word.toLowerCase());
  return new Set(words.filter((word) => !EMPTY.has(word)).map(stem));
}

/** Where a line holds asked words, from left to right; neighbours are one (`parseJson`). */
export function marks(line: string, words: ReadonlySet<string>): Span[] {
  const found: Span[] = [];
  for (const match of line.matchAll(WORD)) {
    if (!words.has(stem(match[0].toLowerCase()))) continue;
    const end = match.index + match[0].length;
    const last = found.at(-1);
    if (last !== undefined && ['', '_'].includes(line.slice(last[1], match.index))) last[1] = end;
    else found.push([match.index, end]);
  }
  return found;
}

/** How many different asked words a line holds. */
export function held(line: string, words: ReadonlySet<string>): number {
  const stems = [...line.matchAll(WORD)].map(([word]) => stem(word.toLowerCase()));
  return new Set(stems.filter((word) => words.has(word))).size;
}

function stem(word: string): string {
  const short = word.replace(ENDING, '');
  return short.length < STEM_LENGTH ? word : short;
}
