import { type Condition, conditionOf, readyCondition } from '../connectors/status.ts';

/** An Event on a Connector, in the words of events.k8s.io/v1. */
export interface ConnectorEvent {
  readonly type: 'Normal' | 'Warning';
  readonly reason: string;
  readonly note: string;
}

/**
 * What is to be told of a status that was written: each cause that is False now and was not, or not for this reason;
 * and that the connector has become ready. Nothing where nothing has changed but words.
 */
export function connectorEvents(before: readonly Condition[], after: readonly Condition[]): readonly ConnectorEvent[] {
  const warnings = after
    .filter(({ type, status, severity }) => type !== readyCondition && status === 'False' && severity !== 'Info')
    .filter((condition) => !isSameState(conditionOf(before, condition.type), condition))
    .map(({ type, reason, message }): ConnectorEvent => {
      return { type: 'Warning', reason: reason ?? type, note: `${type} is False: ${message ?? ''}` };
    });
  const isReady = conditionOf(after, readyCondition)?.status === 'True';
  const wasReady = conditionOf(before, readyCondition)?.status === 'True';
  if (!isReady || wasReady) return warnings;
  return [...warnings, { type: 'Normal', reason: readyCondition, note: 'the connector can be used' }];
}

const isSameState = (before: Condition | undefined, { status, reason }: Condition): boolean =>
  before?.status === status && before.reason === reason;
