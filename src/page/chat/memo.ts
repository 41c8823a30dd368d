import { Component, type ComponentType, type FunctionComponent, h } from 'preact';

/** `view`, drawn again only when one of its props is another. (As preact/compat's, which brings 10 KB of React's other names.) */
export function memo<P extends object>(view: FunctionComponent<P>): ComponentType<P> {
  return class extends Component<P> {
    override shouldComponentUpdate(next: Readonly<P>): boolean {
      const names = Object.keys(next) as (keyof P)[];
      return names.some((name) => next[name] !== (this.props as P)[name]);
    }

    override render(props: P) {
      return h(view, props);
    }
  };
}
