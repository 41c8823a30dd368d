import { render } from 'preact';
import { App } from './app.tsx';
import { takeJoinKey } from './join-key.ts';
import { pollStatus } from './status.ts';
import './style/base.css';
import './style/contribute.css';
import './style/lend.css';
import './style/mesh.css';
import './style/chat.css';
import './style/answer.css';

/**
 * `/?auto=1&name=tab-1&memory=2` is how `shoal worker` opens a tab: it joins by itself, lends `memory` GB
 * and reports every state on the console. `#join-key=…` is the key of a server that asks for one.
 */
const query = new URLSearchParams(location.search);
const auto = query.get('auto') === '1';
const name = (query.get('name') ?? `visitor ${Math.floor(Math.random() * 900 + 100)}`).slice(0, 64);
const memory = Number(query.get('memory'));
const joinKey = takeJoinKey(location, (url) => history.replaceState(history.state, '', url));

// A headless worker has nobody to show a status to.
if (!auto) pollStatus(new AbortController().signal);
render(
  <App name={name} auto={auto} budgetGb={memory > 0 ? memory : undefined} joinKey={joinKey ?? undefined} />,
  document.getElementById('app') as HTMLElement,
);
