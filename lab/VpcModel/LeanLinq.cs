// SPDX-License-Identifier: Apache-2.0
namespace VpcCni.Lab;

/// <summary>
/// <c>Select</c> and <c>Where</c> for native code; all code below this namespace finds them before those of System.Linq. There <c>Select</c> is a generic virtual method of every sequence: compiled ahead of time,
/// it exists for every source type with every result type that any chain of selections can reach, which was 32 000 methods, a third of the code of the daemon, which has this model for whatif. These exist for the types that are used. In .NET 10 the
/// property UseSizeOptimizedLinq does the same (docs/adr/0015-memory.md).
/// </summary>
internal static class LeanLinq
{
    /// <inheritdoc cref="Enumerable.Select{TSource, TResult}(IEnumerable{TSource}, Func{TSource, TResult})"/>
    public static IEnumerable<TResult> Select<TSource, TResult>(this IEnumerable<TSource> source, Func<TSource, TResult> selector)
    {
        ArgumentNullException.ThrowIfNull(source);
        ArgumentNullException.ThrowIfNull(selector);
        return Iterate(source, selector);

        static IEnumerable<TResult> Iterate(IEnumerable<TSource> source, Func<TSource, TResult> selector)
        {
            foreach (var item in source) yield return selector(item);
        }
    }

    /// <inheritdoc cref="Enumerable.Where{TSource}(IEnumerable{TSource}, Func{TSource, bool})"/>
    public static IEnumerable<TSource> Where<TSource>(this IEnumerable<TSource> source, Func<TSource, bool> predicate)
    {
        ArgumentNullException.ThrowIfNull(source);
        ArgumentNullException.ThrowIfNull(predicate);
        return Iterate(source, predicate);

        static IEnumerable<TSource> Iterate(IEnumerable<TSource> source, Func<TSource, bool> predicate)
        {
            foreach (var item in source)
            {
                if (predicate(item)) yield return item;
            }
        }
    }
}
