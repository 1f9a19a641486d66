import { describe, expect, test } from 'vitest';
import {
  type Condition,
  conditionOf,
  conditionTypes,
  type Finding,
  setCondition,
  statusOf,
  summarize,
} from '../../connectors/status.ts';

const first = Date.parse('2026-01-02T03:04:05.678Z');
const later = Date.parse('2026-01-02T04:00:00Z');
const notFound: Finding = { type: 'SecretReady', status: 'False', reason: 'SecretNotFound', message: 'no Secret "x"' };

describe('a condition', () => {
  const before = setCondition([], notFound, first);

  test('is added with the time, in whole seconds', () => {
    expect(before).toEqual([{ ...notFound, lastTransitionTime: '2026-01-02T03:04:05Z' }]);
  });

  test.each<[what: string, change: Partial<Finding>, transition: string]>([
    ['keeps its time when the reason changes', { reason: 'SecretTypeInvalid' }, '2026-01-02T03:04:05Z'],
    ['keeps its time when the message changes', { message: 'other' }, '2026-01-02T03:04:05Z'],
    ['gets a new time when the status changes', { status: 'True' }, '2026-01-02T04:00:00Z'],
    ['gets a new time when it is no longer known', { status: 'Unknown' }, '2026-01-02T04:00:00Z'],
  ])('%s', (_what, change, lastTransitionTime) => {
    expect(setCondition(before, { ...notFound, ...change }, later)).toEqual([
      { ...notFound, ...change, lastTransitionTime },
    ]);
  });

  test('that says nothing new changes nothing', () => {
    expect(setCondition(before, { ...notFound }, later)).toBe(before);
    const bare = setCondition([], { type: 'Ready', status: 'True' }, first);
    expect(setCondition(bare, { type: 'Ready', status: 'True', reason: '', message: '' }, later)).toBe(bare);
  });

  test('that loses its message loses it', () => {
    const { message: _, ...silent } = notFound;
    expect(setCondition(before, silent, later)[0]).not.toHaveProperty('message');
  });

  test('that was written without a time gets one', () => {
    expect(setCondition([notFound], notFound, first)).toEqual(before);
  });

  test('leaves the others and their order', () => {
    const others: Condition[] = [{ type: 'A', status: 'True' }, ...before, { type: 'B', status: 'True' }];
    const after = setCondition(others, { ...notFound, status: 'True' }, later);
    expect(after.map(({ type }) => type)).toEqual(['A', 'SecretReady', 'B']);
    expect([after[0], after[2]]).toEqual([others[0], others[2]]);
    expect(others[1]?.status).toBe('False');
    expect(conditionOf(after, 'SecretReady')?.status).toBe('True');
  });
});

describe('Ready', () => {
  const all = (changes: Record<string, Partial<Condition>> = {}): Condition[] =>
    conditionTypes.map((type) => ({ type, status: 'True', ...changes[type] }));
  const failed = (reason: string): Partial<Condition> => ({ status: 'False', reason, message: `${reason}!` });
  const unknown: Partial<Condition> = { status: 'Unknown', reason: 'NotProbed', message: 'soon' };

  test.each<[what: string, conditions: Condition[], status: Finding['status'], reason: string, message: string]>([
    ['all is well', all(), 'True', 'Ready', ''],
    ['one is False', all({ AuthReady: failed('Denied') }), 'False', 'Denied', 'Denied!'],
    [
      'one follows from another, of which the cause is told',
      all({
        AuthReady: failed('NoCredential'),
        SecretReady: failed('SecretNotFound'),
        LivenessReady: unknown,
      }).reverse(),
      'False',
      'SecretNotFound',
      'SecretNotFound!',
    ],
    [
      'what came before the others is False',
      [...all({ AuthReady: failed('Denied') }), { type: 'SpecValid', status: 'False', reason: 'SpecInvalid' }],
      'False',
      'SpecInvalid',
      '',
    ],
    ['one is Unknown', all({ LivenessReady: unknown }), 'Unknown', 'NotProbed', 'soon'],
    ['one is missing', all().slice(0, -1), 'Unknown', 'Pending', 'ProxyServiceReady has not been looked at yet'],
    ['there is nothing', [], 'Unknown', 'Pending', 'ConnectorClassReady has not been looked at yet'],
    [
      'one is False that is only told',
      [...all(), { type: 'SpecSupported', status: 'False', severity: 'Info', reason: 'FieldsIgnored' }],
      'True',
      'Ready',
      '',
    ],
    ['Ready was False before', [...all(), { type: 'Ready', status: 'False', reason: 'Old' }], 'True', 'Ready', ''],
    ['no reason is given', all({ AuthReady: { status: 'False' } }), 'False', 'AuthReady', ''],
  ])('where %s', (_what, conditions, status, reason, message) => {
    expect(summarize(conditions)).toEqual({ type: 'Ready', status, reason, message });
  });
});

test.each<[what: string, status: unknown, read: object]>([
  ['absent', undefined, {}],
  ['empty', {}, {}],
  ['not ours', { conditions: 'none' }, {}],
  [
    'newer than we are',
    { observedGeneration: 2, phase: 'x', proxy: { other: 1 } },
    { observedGeneration: 2, proxy: {} },
  ],
])('a status that is %s is read as far as we know it', (_what, status, read) => {
  expect(statusOf({ status })).toEqual(read);
});
