import fc from 'fast-check';
import { expect, test } from 'vitest';
import { BodyBudget, isWithinBounds } from '../../webhook/body-bounds.ts';

const nested = (depth: number, inside = '') => '['.repeat(depth) + inside + ']'.repeat(depth);
const lists = (count: number) => `[${'[],'.repeat(count - 2)}[]]`;
const brackets = '[{'.repeat(500);

test.each<[what: string, text: string, isWithin: boolean]>([
  ['nothing', '', true],
  ['128 levels', nested(128), true],
  ['129 levels', nested(129), false],
  ['128 levels of objects', `${'{"a":'.repeat(128)}1${'}'.repeat(128)}`, true],
  ['129 levels of objects and lists', `${'{"a":['.repeat(64)}{`, false],
  ['200,000 lists', lists(200_000), true],
  ['200,001 lists', lists(200_001), false],
  ['200,001 objects', `[${'{},'.repeat(200_000)}0]`, false],
  ['brackets in a string', `["${brackets}"]`, true],
  ['brackets in a key', `{"${brackets}":1}`, true],
  ['brackets after an escaped quote', JSON.stringify(`"${brackets}`), true],
  ['brackets after an escaped backslash', `["\\\\",${nested(127)}]`, true],
  ['too many of them after an escaped backslash', `["\\\\",${nested(128)}]`, false],
  ['brackets in a string without an end', `"${brackets}`, true],
  ['a string that ends in a backslash', '"\\', true],
])('%s: %#', (_what, text, isWithin) => {
  expect(isWithinBounds(text)).toBe(isWithin);
});

function depthOf(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0;
  return 1 + Math.max(0, ...Object.values(value).map(depthOf));
}

test('agrees with JSON.parse about the depth of whatever JSON there is', () => {
  const wrapped = fc.tuple(fc.jsonValue(), fc.nat(140), fc.constantFrom(undefined, 2)).map(([value, levels, space]) => {
    let all: unknown = value;
    for (let at = 0; at < levels; at += 1) all = at % 2 === 0 ? [all, '"]}'] : { '\\"{[': all };
    return JSON.stringify(all, undefined, space);
  });
  fc.assert(
    fc.property(wrapped, (text) => {
      expect(isWithinBounds(text)).toBe(depthOf(JSON.parse(text)) <= 128);
    }),
    { numRuns: 300 },
  );
});

test('whatever a pod is made of passes', () => {
  const annotations = fc.dictionary(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary' }));
  fc.assert(
    fc.property(annotations, fc.json({ maxDepth: 20 }), (metadata, spec) => {
      expect(isWithinBounds(JSON.stringify({ metadata, spec, copy: JSON.parse(spec) }))).toBe(true);
    }),
    { numRuns: 300 },
  );
});

test('a budget is taken as far as it goes, and what is given back is there again', () => {
  const budget = new BodyBudget(10);
  expect([budget.take(6), budget.take(5), budget.take(4), budget.take(1)]).toEqual([true, false, true, false]);
  budget.giveBack(6);
  expect([budget.take(7), budget.take(6), budget.take(0)]).toEqual([false, true, true]);
});
