import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseChallenges } from '../../credentials/challenge.ts';
import { arbitraryText } from '../platform/arbitrary-text.ts';

type Plain = [scheme: string, params: Record<string, string>];
const parse = (header: string | readonly string[] | undefined): Plain[] =>
  parseChallenges(header).map(({ scheme, params }) => [scheme, Object.fromEntries(params)]);

describe('a WWW-Authenticate header', () => {
  const dockerHub =
    'realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull,push"';
  test.each<[header: string, ...challenges: Plain[]]>([
    [''],
    ['Basic', ['basic', {}]],
    ['Basic realm="Registry Realm"', ['basic', { realm: 'Registry Realm' }]],
    [
      `Bearer ${dockerHub}`,
      [
        'bearer',
        { realm: 'https://auth.docker.io/token', service: 'registry.docker.io', scope: 'repository:a/b:pull,push' },
      ],
    ],
    ['bEARER Realm=https://h/t?a=b', ['bearer', { realm: 'https://h/t?a=b' }]],
    ['Bearer realm="r" service="s"', ['bearer', { realm: 'r', service: 's' }]],
    ['Bearer realm = "r" , scope=""', ['bearer', { realm: 'r', scope: '' }]],
    ['Bearer realm="a\\"b\\\\c"', ['bearer', { realm: 'a"b\\c' }]],
    ['Bearer realm="r",realm="evil",REALM="evil"', ['bearer', { realm: 'r' }]],
    [
      'Basic realm="a, Bearer b=c", Bearer realm="d"',
      ['basic', { realm: 'a, Bearer b=c' }],
      ['bearer', { realm: 'd' }],
    ],
    ['Basic, Bearer realm="c"', ['basic', {}], ['bearer', { realm: 'c' }]],
    ['Negotiate abc==, Bearer realm="c"', ['negotiate', {}], ['bearer', { realm: 'c' }]],
    ['Negotiate abc, Basic', ['negotiate', {}], ['basic', {}]],
    [', ,Basic ,', ['basic', {}]],
    ['Bearer realm=', ['bearer', {}]],
    ['Bearer realm="without end, service="s"', ['bearer', { realm: 'without end, service=' }], ['s', {}]],
    ['realm="nobody\'s", Basic realm="x"', ['basic', { realm: 'x' }]],
    ['"quoted" , Basic', ['basic', {}]],
    ['Bearer __proto__="x", constructor="y"', ['bearer', { ['__proto__']: 'x', constructor: 'y' }]],
  ])('%s is read', (header, ...challenges) => {
    expect(parse(header)).toEqual(challenges);
  });

  test('may come more than once, or not at all', () => {
    expect(parse(['Basic realm="a"', 'Bearer realm="b"'])).toEqual([
      ['basic', { realm: 'a' }],
      ['bearer', { realm: 'b' }],
    ]);
    expect(parse(undefined)).toEqual([]);
  });

  const token = fc.string({ unit: fc.constantFrom(..."aZ09!#$%&'*+-.^_`|~"), minLength: 1, maxLength: 8 });
  const param = fc.tuple(token, arbitraryText(), fc.constantFrom('quoted', 'token'));
  const challenge = fc.tuple(token, fc.uniqueArray(param, { selector: ([name]) => name.toLowerCase(), maxLength: 4 }));
  const quote = (text: string) => `"${text.replace(/["\\]/g, '\\$&')}"`;
  const write = (name: string, value: string, style: string) =>
    `${name}=${style === 'token' && /^[!#-'*+\-.^-`|~\w]+$/.test(value) ? value : quote(value)}`;

  test('that was put together comes apart again', () => {
    fc.assert(
      fc.property(fc.array(challenge, { maxLength: 4 }), (list) => {
        const header = list.map(([scheme, params]) => `${scheme} ${params.map((one) => write(...one)).join(', ')}`);
        const expected = list.map(([scheme, params]) => [
          scheme.toLowerCase(),
          params.map(([name, value]) => [name.toLowerCase(), value]),
        ]);
        const found = parseChallenges(header.join(', ')).map(({ scheme, params }) => [scheme, [...params]]);
        expect(found).toEqual(expected);
      }),
    );
  });

  test('never throws', () => {
    const pieces = fc.oneof(
      arbitraryText({ maxLength: 4 }),
      fc.constantFrom('Bearer ', 'realm=', '"', '\\', ',', ' ', '='),
    );
    fc.assert(fc.property(fc.array(pieces), (parts) => void parseChallenges(parts.join(''))));
  });

  test('takes no time, however hostile', () => {
    const startedAt = performance.now();
    for (const unit of ['a', 'a ', 'a=', 'a="', '"', '\\', ',', ' ', '=', 'a,', 'a b=', 'a=b ', '/=', 'B x= ']) {
      const text = unit.repeat(100_000 / unit.length);
      for (const header of [text, `Bearer ${text}!`, `Bearer realm="${text}`]) parseChallenges(header);
    }
    expect(performance.now() - startedAt).toBeLessThan(1000);
  });
});
