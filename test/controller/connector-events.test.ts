import { expect, test } from 'vitest';
import type { Condition } from '../../connectors/status.ts';
import { connectorEvents } from '../../controller/connector-events.ts';

const condition = (type: string, status: Condition['status'], reason: string, message = 'words'): Condition => ({
  type,
  status,
  reason,
  message,
});
const ready = condition('Ready', 'True', 'Ready');
const unready = condition('Ready', 'False', 'Timeout');
const alive = condition('LivenessReady', 'True', 'RegistryAlive');
const dead = condition('LivenessReady', 'False', 'Timeout');

test.each<[what: string, before: Condition[], after: Condition[], events: string[]]>([
  ['a cause that has become False warns', [alive, ready], [dead, unready], ['Warning Timeout']],
  ['one that was False for another reason warns', [dead], [{ ...dead, reason: 'TLSInvalid' }], ['Warning TLSInvalid']],
  ['one that is as it was does not', [dead, unready], [{ ...dead, message: 'other words' }, unready], []],
  ['the first status of a connector warns too', [], [dead, unready], ['Warning Timeout']],
  ['becoming ready is told', [dead, unready], [alive, ready], ['Normal Ready']],
  ['staying ready is not', [alive, ready], [alive, ready], []],
  ['what is unknown is not told', [alive], [{ ...alive, status: 'Unknown' }], []],
  [
    'what is for information is not told',
    [],
    [{ ...condition('SpecSupported', 'False', 'FieldsIgnored'), severity: 'Info' }],
    [],
  ],
])('%s', (_what, before, after, events) => {
  expect(connectorEvents(before, after).map(({ type, reason }) => `${type} ${reason}`)).toEqual(events);
});

test('the note names the condition', () => {
  const [event] = connectorEvents([], [condition('AuthReady', 'False', 'CredentialRefused', 'correct the Secret')]);
  expect(event?.note).toBe('AuthReady is False: correct the Secret');
});
