import { expect, test } from 'vitest';
import { parseJson } from '../../platform/json.ts';

test.each([
  ['{"a":[1,null]}', { a: [1, null] }],
  ['null', null],
])('%s is read', (text, value) => {
  expect(parseJson(text)).toStrictEqual(value);
});

test.each(['', '{', 'undefined', 'NaN', "{'a':1}"])('%j is not JSON, and that is no error', (text) => {
  expect(parseJson(text)).toBeUndefined();
});
