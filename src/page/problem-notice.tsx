import type { ProxyConfig } from '../config/backend-config.ts';
import { describeProblem, type EndpointProblem } from './endpoint-problem.ts';

/** Why an endpoint cannot be used from this page, with commands to copy. */
export function ProblemNotice(props: {
  readonly problem: EndpointProblem;
  readonly provider: ProxyConfig['provider'];
  readonly url: string;
}) {
  const { what, remedies } = describeProblem(props.problem, props.provider, props.url, location.origin);
  return (
    <div class="notice error" role="alert">
      <p>{what}</p>
      {remedies.map(({ text, command }) => (
        <div key={`${text}${command}`} class="remedy">
          {text !== '' && <p>{text}</p>}
          {command !== undefined && <code>{command}</code>}
        </div>
      ))}
    </div>
  );
}
