"""Single operations, each alone on a small odd shape: `CASES` is a list of (id, factory, input_size).

Every factory returns an ``nn.Module`` of one tensor. Weights are torch's own random ones. The cases named in `INTEGER` take
whole numbers below `VOCABULARY`; `example_input` makes the right tensor for any case.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lambdas import Lambda

Factory = Callable[[], nn.Module]
Case = tuple[str, Factory, tuple[int, ...]]

VOCABULARY = 10
X1 = (1, 3, 13)
X2 = (1, 3, 9, 7)
X3 = (1, 2, 5, 6, 4)

CASES: list[Case] = []
INTEGER: set[str] = set()


def example_input(case: Case) -> Tensor:
    """A random input of the case's size and type."""
    name, _, size = case
    return torch.randint(0, VOCABULARY, size) if name in INTEGER else torch.rand(size)


def _add(name: str, factory: Factory, size: tuple[int, ...]) -> None:
    CASES.append((name, factory, size))


def _fn(name: str, fn: Callable[..., Any], size: tuple[int, ...], **parts: Callable[[], nn.Module | Tensor]) -> None:
    """A function of the input and of parts, which are made anew for every module."""
    _add(name, lambda: Lambda(fn, **{key: make() for key, make in parts.items()}), size)


def _mask(*shape: int, every: int = 3) -> Tensor:
    """True but for every third position, in reading order."""
    return (torch.arange(math.prod(shape)) % every != 1).reshape(shape)


# ---- convolution -------------------------------------------------------------------------------------------------------

_add("conv1d", lambda: nn.Conv1d(3, 4, 3), X1)
_add("conv2d", lambda: nn.Conv2d(3, 4, 3, padding=1), X2)
_add("conv3d", lambda: nn.Conv3d(2, 2, (3, 2, 3), padding=(1, 0, 1)), X3)
_add("conv_even", lambda: nn.Conv2d(3, 4, (4, 2), padding=1), X2)
_add("conv_stride", lambda: nn.Conv2d(3, 4, 3, stride=(2, 3), padding=(1, 0)), X2)
_add("conv_stride_beyond_kernel", lambda: nn.Conv2d(3, 4, 2, stride=3), X2)
_add("conv_dilation", lambda: nn.Conv2d(3, 4, 3, dilation=(3, 2), padding=2), X2)
_add("conv_same_odd", lambda: nn.Conv2d(3, 4, (5, 3), padding="same"), X2)
_add("conv_same_even", lambda: nn.Conv2d(3, 4, (4, 2), padding="same"), X2)
_add("conv_same_even_dilated", lambda: nn.Conv1d(3, 4, 4, padding="same", dilation=3), X1)
_add("conv_valid", lambda: nn.Conv2d(3, 4, 3, padding="valid"), X2)
_add("conv_depthwise", lambda: nn.Conv2d(3, 6, 3, groups=3, padding=1), X2)
_add("conv_grouped", lambda: nn.Conv2d(4, 6, 3, groups=2), (1, 4, 9, 7))
_add("conv_kernel_beyond_input", lambda: nn.Conv2d(3, 4, 11, padding=5), (1, 3, 5, 7))
_add("conv_padding_beyond_kernel", lambda: nn.Conv2d(3, 4, 2, padding=4), X2)
_add("conv_on_1x1", lambda: nn.Conv2d(3, 4, 3, padding=1), (1, 3, 1, 1))
_add("conv_1x1", lambda: nn.Conv2d(3, 4, 1), X2)
_add("conv_unbatched", lambda: nn.Conv2d(3, 4, 3), (3, 9, 7))
_add("conv_batch_of_two", lambda: nn.Conv2d(3, 4, 3), (2, 3, 9, 7))
for _mode in ("reflect", "replicate", "circular"):
    for _dims, _conv, _size in ((1, nn.Conv1d, X1), (2, nn.Conv2d, X2), (3, nn.Conv3d, X3)):
        _add(f"conv{_dims}d_{_mode}", lambda c=_conv, m=_mode, n=_size[1]: c(n, 2, 3, padding=2, padding_mode=m), _size)
_add("conv_same_even_circular", lambda: nn.Conv2d(3, 4, 4, padding="same", padding_mode="circular"), X2)
_fn("conv_functional", lambda x, w: F.conv2d(x, w, padding=1), X2, w=lambda: nn.Parameter(torch.rand(4, 3, 3, 3)))
_fn(
    "conv_of_computed_filters",
    lambda x, w, b: F.conv2d(x, w * x.mean((2, 3)).view(3, 1, 1, 1), bias=b * x[0, :, 0, 0], padding=1),
    X2,
    w=lambda: torch.rand(3, 3, 3, 3),
    b=lambda: torch.rand(3),
)
_fn("padded_conv_of_computed_filters", lambda x: F.conv2d(x, x[:, :, 2:5, 1:4].transpose(0, 1), groups=3, stride=2, padding=2), X2)
_fn("depthwise_of_computed_filters", lambda x: F.conv2d(x, x[:, :, 2:5, 1:4].transpose(0, 1), groups=3), X2)
_fn("conv_transpose_of_computed_filters", lambda x: F.conv_transpose2d(x, x[:, :, 2:5, 1:4].transpose(0, 1).repeat(1, 2, 1, 1)), X2)
_fn("conv_weight_with_zeros", lambda x, w: F.conv2d(x, w), X2, w=lambda: torch.ones(3, 3, 3, 3) * _mask(3, 3))
_add("conv_causal_stack", lambda: CausalStack(3, (1, 2, 4)), (1, 3, 23))
_add("conv_transposed_k_below_s", lambda: nn.ConvTranspose2d(3, 4, 2, stride=3), (1, 3, 4, 5))
_add("conv_transposed_k_is_s", lambda: nn.ConvTranspose2d(3, 4, 2, stride=2), (1, 3, 4, 5))
_add("conv_transposed_k_above_s", lambda: nn.ConvTranspose2d(3, 4, 5, stride=2, padding=1), (1, 3, 4, 5))
_add("conv_transposed_output_padding", lambda: nn.ConvTranspose2d(3, 4, 3, stride=2, padding=1, output_padding=1), (1, 3, 4, 5))
_add("conv_transposed_dilation", lambda: nn.ConvTranspose2d(3, 4, 3, stride=2, dilation=(2, 3)), (1, 3, 4, 5))
_add("conv_transposed_groups", lambda: nn.ConvTranspose2d(4, 4, 4, stride=2, groups=4), (1, 4, 4, 5))
_add("conv_transposed_1d", lambda: nn.ConvTranspose1d(3, 4, 4, stride=3, padding=2), (1, 3, 6))
_add("conv_transposed_3d", lambda: nn.ConvTranspose3d(2, 2, 3, stride=(1, 2, 3)), (1, 2, 3, 4, 2))

# ---- pooling -----------------------------------------------------------------------------------------------------------

_fn("max_pool2d_functional", lambda x: F.max_pool2d(x, 2), X2)
_add("max_pool1d", lambda: nn.MaxPool1d(3, stride=2, padding=1), X1)
_add("max_pool2d_dilated", lambda: nn.MaxPool2d(2, stride=2, dilation=(3, 2)), X2)
_add("max_pool3d", lambda: nn.MaxPool3d(2), X3)
_add("max_pool_ceil", lambda: nn.MaxPool2d(2, ceil_mode=True), X2)
_add("max_pool_ceil_padded", lambda: nn.MaxPool2d(3, stride=2, padding=1, ceil_mode=True), (1, 3, 8, 6))
_fn("max_pool_with_indices", lambda x: F.max_pool2d(x, 2, return_indices=True)[0], X2)
_add("avg_pool1d", lambda: nn.AvgPool1d(4, stride=3, padding=2), X1)
_add("avg_pool2d", lambda: nn.AvgPool2d(3, stride=2, padding=1, count_include_pad=False), X2)
_add("avg_pool3d", lambda: nn.AvgPool3d(2, stride=1), X3)
_add("avg_pool_ceil", lambda: nn.AvgPool2d(2, ceil_mode=True), X2)
_add("lp_pool1d", lambda: nn.LPPool1d(2, 3), X1)
_add("lp_pool2d", lambda: nn.LPPool2d(2, (3, 2), stride=2), X2)
_add("lp_pool2d_ceil", lambda: nn.LPPool2d(3, 2, ceil_mode=True), X2)
_add("lp_pool3d", lambda: nn.LPPool3d(2, 2), X3)
_add("adaptive_avg_pool1d", lambda: nn.AdaptiveAvgPool1d(5), X1)
_add("adaptive_avg_pool2d", lambda: nn.AdaptiveAvgPool2d((4, 5)), X2)
_add("adaptive_avg_pool2d_none", lambda: nn.AdaptiveAvgPool2d((None, 3)), X2)
_add("adaptive_avg_pool3d", lambda: nn.AdaptiveAvgPool3d((2, 4, 3)), X3)
_add("adaptive_avg_pool_up", lambda: nn.AdaptiveAvgPool2d((11, 10)), X2)
_add("adaptive_max_pool1d", lambda: nn.AdaptiveMaxPool1d(5), X1)
_add("adaptive_max_pool2d", lambda: nn.AdaptiveMaxPool2d((4, 5)), X2)
_add("adaptive_max_pool3d", lambda: nn.AdaptiveMaxPool3d((2, 4, 3)), X3)
_add("adaptive_avg_pool_to_1", lambda: nn.AdaptiveAvgPool2d(1), X2)
_fn("global_pool_by_shape", lambda x: F.avg_pool2d(x, x.shape[2:]), X2)
_fn("global_mean", lambda x: x.mean((2, 3)), X2)
_fn("mean_of_one_axis", lambda x: x.mean(3), X2)
_fn("amax_keepdim", lambda x: x.amax(2, keepdim=True), X2)
_add("max_pool_unpool", lambda: UnPool(), (1, 3, 8, 6))

# ---- resampling --------------------------------------------------------------------------------------------------------

_fn("interpolate_default", lambda x: F.interpolate(x, scale_factor=2), X2)
_RESAMPLE: dict[str, tuple[tuple[int, ...], dict[str, Any]]] = {
    "size_up": ((11, 10, 9), {}),
    "size_down": ((4, 5, 3), {}),
    "scale_3": ((), {"scale_factor": 3}),
    "scale_1.5": ((), {"scale_factor": 1.5}),
    "scale_1.7": ((), {"scale_factor": 1.7}),
    "scale_0.5": ((), {"scale_factor": 0.5}),
}
_SMOOTH = ("linear", "bilinear", "trilinear", "bicubic")
for _mode, _size in (
    ("nearest", X2),
    ("nearest-exact", X2),
    ("area", X2),
    ("linear", X1),
    ("bilinear", X2),
    ("trilinear", X3),
    ("bicubic", X2),
):
    for _name, (_to, _args) in _RESAMPLE.items():
        _options = {"mode": _mode, **_args, **({"size": _to[: len(_size) - 2]} if _to else {})}
        _fn(f"interpolate_{_mode}_{_name}", lambda x, o=_options: F.interpolate(x, **o), _size)
    if _mode in _SMOOTH:
        for _name in ("size_up", "size_down", "scale_1.7"):
            _to, _args = _RESAMPLE[_name]
            _options = {"mode": _mode, "align_corners": True, **_args, **({"size": _to[: len(_size) - 2]} if _to else {})}
            _fn(f"interpolate_{_mode}_{_name}_corners", lambda x, o=_options: F.interpolate(x, **o), _size)
    if _mode in ("bilinear", "bicubic"):
        for _name in ("size_up", "size_down", "scale_1.7", "scale_0.5"):
            _to, _args = _RESAMPLE[_name]
            _options = {"mode": _mode, "antialias": True, **_args, **({"size": _to[:2]} if _to else {})}
            _fn(f"interpolate_{_mode}_{_name}_antialias", lambda x, o=_options: F.interpolate(x, **o), _size)
_fn("interpolate_nearest_1d", lambda x: F.interpolate(x, size=9), X1)
_fn("interpolate_nearest_3d", lambda x: F.interpolate(x, scale_factor=(2, 1.5, 1)), X3)
_fn("interpolate_nearest-exact_1d", lambda x: F.interpolate(x, size=9, mode="nearest-exact"), X1)
_fn("interpolate_area_3d", lambda x: F.interpolate(x, size=(3, 4, 5), mode="area"), X3)
_fn("interpolate_recompute", lambda x: F.interpolate(x, scale_factor=1.7, mode="bilinear", recompute_scale_factor=True), X2)
_add("upsample_module", lambda: nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True), X2)
_add("pixel_shuffle", lambda: nn.PixelShuffle(2), (1, 8, 5, 3))
_add("pixel_unshuffle", lambda: nn.PixelUnshuffle(2), (1, 2, 6, 8))
_fn("grid_sample_constant", lambda x, grid: F.grid_sample(x, grid, align_corners=False), X2, grid=lambda: _grid(4, 5))

# ---- padding and moving ------------------------------------------------------------------------------------------------

for _mode in ("constant", "reflect", "replicate", "circular"):
    for _dims, _size in ((1, X1), (2, X2), (3, X3)):
        _pads = (2, 1, 3, 0, 1, 2)[: 2 * _dims]
        _fn(f"pad{_dims}d_{_mode}", lambda x, p=_pads, m=_mode: F.pad(x, p, m), _size)
_fn("pad_negative", lambda x: F.pad(x, (-1, 2, -2, -1)), X2)
_fn("pad_negative_reflect", lambda x: F.pad(x, (-1, 2, 2, -1), "reflect"), X2)
_fn("pad_negative_circular", lambda x: F.pad(x, (-1, 2, 2, -1), "circular"), X2)
_fn("pad_channels", lambda x: F.pad(x, (0, 0, 1, 0, 1, 2)), X2)
_fn("flip", lambda x: x.flip(3), X2)
_fn("flip_two_axes", lambda x: torch.flip(x, (2, 3)), X2)
_fn("rot90", lambda x: x.rot90(1, (2, 3)), X2)
_fn("roll", lambda x: x.roll(2, 3), X2)
_fn("roll_several_axes", lambda x: torch.roll(x, (2, -3), (2, 3)), X2)
_fn("roll_flattened", lambda x: x.roll(5), X2)
_fn("slice", lambda x: x[:, :, 1:-1, 2:], X2)
_fn("slice_step", lambda x: x[:, :, 1::2, ::3], X2)
_fn("slice_channels", lambda x: x[:, 1:], X2)
_fn("select", lambda x: x[:, :, 2], X2)
_fn("ellipsis_and_none", lambda x: x[..., None, 1:, :], X2)
_fn("narrow", lambda x: x.narrow(2, 2, 4), X2)
_fn("transpose", lambda x: x.transpose(2, 3), X2)
_fn("permute", lambda x: x.permute(0, 2, 3, 1), X2)
_fn("flatten", lambda x: x.flatten(1), X2)
_fn("flatten_space", lambda x: x.flatten(2), X2)
_fn("unflatten", lambda x: x.flatten(2).unflatten(2, (7, 9)), X2)
_fn("unflatten_axis", lambda x: x.unflatten(2, (3, 3)), X2)
_fn("squeeze_unsqueeze", lambda x: x.unsqueeze(2).squeeze(0).squeeze(1).unsqueeze(0), X2)
_fn("diagonal", lambda x: x.diagonal(dim1=2, dim2=3), X2)
_fn("diagonal_offset", lambda x: torch.diagonal(x, 2, 2, 3), X2)
_fn("tril", lambda x: x.tril(), X2)
_fn("triu_offset", lambda x: x.triu(1), X2)
_fn("as_strided_windows", lambda x: x.as_strided((1, 3, 5, 3), (39, 13, 2, 1)), X1)
_fn("contiguous", lambda x: x.transpose(2, 3).contiguous(), X2)
_fn("detach", lambda x: x.detach() * 2, X2)
_fn("clone_and_to", lambda x: x.clone().to(torch.float64), X2)
_fn("expand", lambda x: x.unsqueeze(2).expand(-1, -1, 2, -1, -1), X2)
_fn("repeat", lambda x: x.repeat(1, 1, 2, 3), X2)
_fn("repeat_interleave", lambda x: x.repeat_interleave(3, 2), X2)
_fn("repeat_interleave_counts", lambda x, n: x.repeat_interleave(n, 2), (1, 3, 4, 5), n=lambda: torch.tensor([2, 0, 1, 3]))
_fn("tile", lambda x: torch.tile(x, (2, 2)), X2)
_fn("broadcast_over_axis", lambda x: x + x[:, :, :1], X2)

# ---- indexing ----------------------------------------------------------------------------------------------------------

_fn("index_select", lambda x, i: x.index_select(2, i), X2, i=lambda: torch.tensor([4, 0, 0, 7]))
_fn("index_list", lambda x: x[:, :, [5, 1, 1, 8]], X2)
_fn("index_tensor", lambda x, i: x[:, :, i], X2, i=lambda: torch.tensor([4, 0, 0, 7]))
_fn("index_made_in_forward", lambda x: x[:, :, torch.arange(0, x.shape[2], 2, device=x.device)], X2)
_fn(
    "index_two_arrays",
    lambda x, i, j: x[:, :, i, j],
    X2,
    i=lambda: torch.tensor([0, 3, 8, 3]),
    j=lambda: torch.tensor([6, 1, 0, 5]),
)
_fn(
    "index_two_arrays_outer",
    lambda x, i, j: x[:, :, i[:, None], j],
    X2,
    i=lambda: torch.tensor([0, 3, 8]),
    j=lambda: torch.tensor([6, 1]),
)
_fn("index_array_with_slice_between", lambda x, i: x[0, :, i, 1:], X2, i=lambda: torch.tensor([0, 3, 8]))
_fn("boolean_mask", lambda x, keep: x[:, :, keep], X2, keep=lambda: _mask(9, 7))
_fn("boolean_mask_of_axis", lambda x, keep: x[:, :, keep], X2, keep=lambda: _mask(9))
_fn("gather_constant", lambda x, i: x.gather(2, i), X2, i=lambda: torch.arange(3 * 4 * 7).reshape(1, 3, 4, 7) * 5 % 9)
_fn("take_along_dim_constant", lambda x, i: torch.take_along_dim(x, i, 3), X2, i=lambda: torch.tensor([6, 2, 2]).reshape(1, 1, 1, 3))
_fn(
    "scatter_constant",
    lambda x, i: torch.zeros_like(x).scatter(2, i, x),
    X2,
    i=lambda: torch.arange(8, -1, -1).reshape(1, 1, 9, 1).expand(X2).clone(),
)
_fn("index_add_constant", lambda x, i: x.new_zeros(1, 3, 4, 7).index_add(2, i, x), X2, i=lambda: torch.arange(9) * 3 % 4)
_fn("chunk", lambda x: x.chunk(2, 3)[1], X2)
_fn("chunk_and_cat", lambda x: torch.cat(x.chunk(3, 2)[::-1], 2), X2)
_fn("split_sizes", lambda x: x.split([2, 4, 3], 2)[1], X2)
_fn("split_all_returned", lambda x: torch.split(x, 4, 2), X2)
_fn("unbind", lambda x: x.unbind(2)[3], X2)
_fn("stack", lambda x: torch.stack([x, x.flip(2)], 2), X2)
_fn("stack_interleave", lambda x: torch.stack([x, x.roll(1, 3)], 4).reshape(1, 3, 9, 14), X2)
_fn("stack_interleave_rows", lambda x: torch.stack([x, 2 * x], 3).flatten(2, 3), X2)
_fn("cat_space", lambda x: torch.cat([x[:, :, 4:], x[:, :, :2]], 2), X2)
_fn("cat_channels", lambda x: torch.cat([x, x.roll(2, 2)], 1), X2)

# ---- regrouping --------------------------------------------------------------------------------------------------------

_fn("functional_unfold", lambda x: F.unfold(x, (3, 2), padding=1, stride=2), X2)
_fn("functional_unfold_dilated", lambda x: F.unfold(x, 3, dilation=2), X2)
_fn("functional_fold", lambda x: F.fold(x, (6, 7), (2, 3), stride=(2, 2)), (1, 12, 9))
_fn("fold_of_unfold", lambda x: F.fold(F.unfold(x, 3, padding=1), (9, 7), 3, padding=1), X2)
_fn("tensor_unfold", lambda x: x.unfold(2, 4, 3), X2)
_fn("tensor_unfold_mean", lambda x: x.unfold(2, 3, 1).unfold(3, 2, 2).mean((-1, -2)), X2)
_fn(
    "patchify",
    lambda x: x.reshape(1, 3, 4, 2, 3, 2).permute(0, 2, 4, 1, 3, 5).reshape(1, 12, 12),
    (1, 3, 8, 6),
)
_fn(
    "patch_embedding",
    lambda x, embed: embed(x.reshape(1, 3, 4, 2, 3, 2).permute(0, 2, 4, 1, 3, 5).reshape(1, 12, 12)),
    (1, 3, 8, 6),
    embed=lambda: nn.Linear(12, 5),
)
_fn("unpatchify", lambda x: x.reshape(1, 4, 3, 3, 2, 2).permute(0, 3, 1, 4, 2, 5).reshape(1, 3, 8, 6), (1, 12, 12))
_fn("window_reverse", lambda x: x.view(1, 3, 2, 4, 2, 3).permute(0, 2, 4, 3, 5, 1).reshape(4, 12, 3), (1, 3, 8, 6))
_fn("channel_shuffle", lambda x: x.reshape(1, 2, 3, 5, 4).transpose(1, 2).reshape(1, 6, 5, 4), (1, 6, 5, 4))
_add("channel_shuffle_module", lambda: nn.ChannelShuffle(2), (1, 6, 5, 4))
_fn("reshape_across_rows", lambda x: x.reshape(1, 3, 7, 9), X2)

# ---- scans, matrices and sequences -------------------------------------------------------------------------------------

_fn("cumsum", lambda x: x.cumsum(2), X2)
_fn("flip_cumsum", lambda x: x.flip(3).cumsum(3).flip(3), X2)
_fn("cumprod", lambda x: x.cumprod(2), X2)
_fn("cummax", lambda x: x.cummax(3)[0], X2)
_fn("logcumsumexp", lambda x: x.logcumsumexp(2), X2)
_fn("diff", lambda x: x.diff(dim=2), X2)
_fn("matmul_right", lambda x, w: x @ w, X2, w=lambda: nn.Parameter(torch.rand(7, 4)))
_fn("matmul_left", lambda x, w: w @ x, X2, w=lambda: nn.Parameter(torch.rand(4, 9)))
_fn("matmul_sparse_constant", lambda x, w: x @ w, X2, w=lambda: torch.diag(torch.ones(7)) + torch.diag(torch.ones(5), 2))
_fn("matmul_left_sparse_constant", lambda x, w: w @ x, X2, w=lambda: torch.ones(9, 9).tril() - torch.ones(9, 9).tril(-3))
_fn("matmul_with_itself", lambda x: x @ x.transpose(2, 3), X2)
_fn("linear_last_axis", lambda x, w: w(x), X2, w=lambda: nn.Linear(7, 4))
_fn("linear_over_flattened", lambda x, w: w(x.flatten(1)), X2, w=lambda: nn.Linear(189, 4))
_fn("einsum_channels", lambda x, w: torch.einsum("bchw,cd->bdhw", x, w), X2, w=lambda: nn.Parameter(torch.rand(3, 4)))
_fn("einsum_axis", lambda x, w: torch.einsum("bchw,wv->bchv", x, w), X2, w=lambda: nn.Parameter(torch.rand(7, 5)))
_fn("einsum_outer", lambda x: torch.einsum("bchw,bcjw->bchj", x, x), X2)
_fn("cdist_itself", lambda x: torch.cdist(x, x), (1, 9, 3))
_fn("cdist_codebook", lambda x, book: torch.cdist(x, book), (1, 9, 3), book=lambda: nn.Parameter(torch.rand(1, 5, 3)))
_add("embedding", lambda: nn.Embedding(VOCABULARY, 4), (1, 12))
_fn(
    "embedding_conv",
    lambda x, table, conv: conv(table(x).transpose(1, 2)),
    (1, 12),
    table=lambda: nn.Embedding(10, 4),
    conv=lambda: nn.Conv1d(4, 2, 3),
)
INTEGER |= {"embedding", "embedding_conv"}
for _name, _rnn in (("lstm", nn.LSTM), ("gru", nn.GRU), ("rnn", nn.RNN)):
    _fn(f"{_name}_rows", lambda x, rnn: rnn(x)[0], (1, 11, 3), rnn=lambda r=_rnn: r(3, 4, batch_first=True))
    _fn(f"{_name}_bidirectional", lambda x, rnn: rnn(x)[0], (1, 11, 3), rnn=lambda r=_rnn: r(3, 4, batch_first=True, bidirectional=True))
_fn("lstm_two_layers", lambda x, rnn: rnn(x)[0], (1, 11, 3), rnn=lambda: nn.LSTM(3, 4, num_layers=2, batch_first=True))
_fn("gru_sequence_first", lambda x, rnn: rnn(x.movedim(1, 0))[0], (1, 11, 3), rnn=lambda: nn.GRU(3, 4))
_fn("lstm_last_state", lambda x, rnn: rnn(x)[1][0], (1, 11, 3), rnn=lambda: nn.LSTM(3, 4, batch_first=True))
_fn(
    "lstm_over_image_rows",
    lambda x, rnn: rnn(x.permute(0, 2, 3, 1).reshape(9, 7, 3))[0].reshape(1, 9, 7, 4).permute(0, 3, 1, 2),
    X2,
    rnn=lambda: nn.LSTM(3, 2, batch_first=True, bidirectional=True),
)
_add("lstm_cell_loop", lambda: CellLoop(), (1, 6, 3))

# ---- writing -----------------------------------------------------------------------------------------------------------


def _write(name: str, change: Callable[[Tensor, Tensor], object], size: tuple[int, ...] = X2) -> None:
    """`change(y, x)` alters y, a copy of the input x, in place; y is returned."""

    def run(x: Tensor) -> Tensor:
        y = x.clone()
        change(y, x)
        return y

    _fn(f"write_{name}", run, size)


_write("constant", lambda y, x: y.__setitem__((..., slice(2, 4)), 1.5))
_write("slice_step", lambda y, x: y.__setitem__((slice(None), slice(None), slice(1, None, 3)), 0))
_write("other_slice", lambda y, x: y.__setitem__((slice(None), slice(None), slice(0, 3)), x[:, :, 5:8]))
_write("broadcast_row", lambda y, x: y.__setitem__((slice(None), slice(None), slice(2, 5)), x[:, :, 8:]))
_write("channel", lambda y, x: y.__setitem__((slice(None), 0), x[:, 1].roll(2, 1)))
_write("index_array", lambda y, x: y.__setitem__((slice(None), slice(None), [1, 4]), x[:, :, [8, 0]]))
_write("boolean_mask", lambda y, x: y.__setitem__((slice(None), slice(None), _mask(9).to(y.device)), 0))
_write("add_on_view", lambda y, x: y[:, :, 2:6].add_(x[:, :, :4]))
_write("zero_on_view", lambda y, x: y[:, :, :, ::2].zero_())
_write("fill_on_diagonal", lambda y, x: y.diagonal(dim1=2, dim2=3).fill_(1))
_write("transposed_view", lambda y, x: y.transpose(2, 3)[:, :, 1:4].copy_(x.transpose(2, 3)[:, :, 3:6]))
_write("view_of_flat", lambda y, x: y.view(1, 3, 63)[:, :, 10:30].mul_(x.view(1, 3, 63)[:, :, :20]))
_write("tsm_shift", lambda y, x: (y[1:, :1].copy_(x[:-1, :1]), y[:1, :1].zero_(), y[:-1, 1:2].copy_(x[1:, 1:2])), (4, 3, 5, 3))
_write("shift_by_loop", lambda y, x: [y[:, :, i].add_(y[:, :, i - 1]) for i in range(1, 9)])
_write("copy_all", lambda y, x: y.copy_(x.flip(2)))
_write("masked_fill", lambda y, x: y.masked_fill_(_mask(9, 7).to(y.device), 0.5))
_write("index_copy", lambda y, x: y.index_copy_(2, torch.tensor([3, 0], device=y.device), x[:, :, 7:]))
_fn("write_into_zeros", lambda x: _into_zeros(x), X2)
_fn("relu_inplace", lambda x, conv, act: act(conv(x)), X2, conv=lambda: nn.Conv2d(3, 4, 3), act=lambda: nn.ReLU(inplace=True))
_fn("add_inplace", lambda x, conv: conv(x).add_(x), X2, conv=lambda: nn.Conv2d(3, 3, 3, padding=1))

# ---- masks and values --------------------------------------------------------------------------------------------------

_fn("hardswish", lambda x: F.hardswish(x), X2)
_fn("masked_fill", lambda x, keep: x.masked_fill(~keep, 0.0), X2, keep=lambda: _mask(9, 7))
_fn("where_constant_condition", lambda x, keep: torch.where(keep, x, x.flip(2)), X2, keep=lambda: _mask(9, 7))
_fn("where_against_zero", lambda x, keep: torch.where(keep, x, torch.zeros_like(x)), X2, keep=lambda: _mask(9, 1))
_fn("multiply_by_mask", lambda x, keep: x * keep, X2, keep=lambda: _mask(9, 7).float())
_fn("multiply_by_zero", lambda x: x * 0.0, X2)
_fn("softmax_space", lambda x: x.softmax(3), X2)
_fn("softmax_channels", lambda x: x.softmax(1), X2)
_fn("log_softmax_space", lambda x: x.log_softmax(2), X2)
_fn("softmax_flattened", lambda x: x.flatten(2).softmax(2).view_as(x), X2)
_fn("sort", lambda x: x.sort(2)[0], X2)
_fn("topk", lambda x: x.topk(3, 3)[0], X2)
_fn("argmax", lambda x: x.argmax(2), X2)
_fn("where_on_values", lambda x: torch.where(x > 0.5, x, x.flip(3)), X2)
_fn("gather_on_values", lambda x: x.gather(2, (x * 8).long().clamp(0, 8)), X2)
_fn("fft_magnitude", lambda x: torch.fft.rfft2(x).abs(), X2)
_fn("fft_round_trip", lambda x: torch.fft.irfft(torch.fft.rfft(x, dim=2) * 2, n=13, dim=2), X1)
_fn("stft_like_frames", lambda x: torch.fft.rfft(x.unfold(2, 4, 2)).abs(), X1)
_fn("median", lambda x: x.median(3)[0], X2)
_fn("std", lambda x: x.std((2, 3), keepdim=True) * x, X2)

# ---- normalisation, gates, attention -----------------------------------------------------------------------------------

_add("batch_norm", lambda: nn.BatchNorm2d(3), X2)
_add("group_norm", lambda: nn.GroupNorm(2, 4), (1, 4, 9, 7))
_add("instance_norm", lambda: nn.InstanceNorm2d(3, affine=True), X2)
_add("instance_norm_running", lambda: nn.InstanceNorm2d(3, track_running_stats=True), X2)
_add("layer_norm_all", lambda: nn.LayerNorm(X2[1:]), X2)
_add("layer_norm_last_axis", lambda: nn.LayerNorm(7), X2)
_fn("layer_norm_channels", lambda x, norm: norm(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2), (1, 4, 9, 7), norm=lambda: nn.LayerNorm(4))
_add("local_response_norm", lambda: nn.LocalResponseNorm(3), (1, 5, 9, 7))
_add("rms_norm", lambda: nn.RMSNorm(7), X2)
_fn("normalize_channels", lambda x: F.normalize(x, dim=1), X2)
_fn("normalize_axis", lambda x: F.normalize(x, dim=2), X2)
_fn("standardize", lambda x: (x - x.mean((2, 3), keepdim=True)) / (x.var((2, 3), keepdim=True) + 1e-5).sqrt(), X2)
_add("squeeze_excite", lambda: SqueezeExcite(3), X2)
_fn(
    "multihead_attention",
    lambda x, mha: mha(x, x, x, need_weights=False)[0],
    (1, 8, 4),
    mha=lambda: nn.MultiheadAttention(4, 2, batch_first=True),
)
_fn("multihead_attention_weights", lambda x, mha: mha(x, x, x)[1], (1, 8, 4), mha=lambda: nn.MultiheadAttention(4, 2, batch_first=True))
_fn(
    "multihead_attention_causal",
    lambda x, mha, mask: mha(x, x, x, attn_mask=mask, need_weights=False)[0],
    (1, 8, 4),
    mha=lambda: nn.MultiheadAttention(4, 2, batch_first=True),
    mask=lambda: torch.ones(8, 8).triu(1).bool(),
)
_fn("sdpa", lambda x: F.scaled_dot_product_attention(x, x, x), (1, 8, 4))
_fn("sdpa_causal", lambda x: F.scaled_dot_product_attention(x, x, x, is_causal=True), (1, 8, 4))
_fn("sdpa_inf_mask", lambda x, mask: F.scaled_dot_product_attention(x, x, x, attn_mask=mask), (1, 8, 4), mask=lambda: _band(8, 1))
_fn("sdpa_finite_mask", lambda x, m: F.scaled_dot_product_attention(x, x, x, attn_mask=m), (1, 8, 4), m=lambda: _band(8, 1).clamp(min=-1e9))
_fn(
    "attention_by_hand_finite_mask",
    lambda x, mask: ((x @ x.mT).view(1, 1, 8, 8) + mask).view(1, 8, 8).softmax(-1) @ x,
    (1, 8, 4),
    mask=lambda: _band(8, 2).clamp(min=-200.0),
)
_fn(
    "attention_masked_fill_finite",
    lambda x, keep: (x @ x.mT).masked_fill(~keep, -1e9).softmax(-1) @ x,
    (1, 8, 4),
    keep=lambda: _band(8, 1) == 0,
)
_fn(
    "attention_mask_taken_back",
    lambda x, mask: (x @ x.mT + mask - mask).softmax(-1) @ x,
    (1, 8, 4),
    mask=lambda: _band(8, 1).clamp(min=-60.0),
)
_fn("softmax_of_shifted_scores", lambda x, low: (x + low).softmax(-1), (1, 8, 4), low=lambda: torch.full((4,), -100.0))
_fn("sdpa_boolean_mask", lambda x, keep: F.scaled_dot_product_attention(x, x, x, attn_mask=keep), (1, 8, 4), keep=lambda: _band(8, 2) == 0)
_fn(
    "attention_by_hand_causal",
    lambda x, mask: (x @ x.mT + mask).softmax(-1) @ x,
    (1, 8, 4),
    mask=lambda: torch.full((8, 8), -math.inf).triu(1),
)
_fn(
    "attention_by_hand_masked_fill",
    lambda x, keep: (x @ x.mT).masked_fill(~keep, -math.inf).softmax(-1) @ x,
    (1, 8, 4),
    keep=lambda: _band(8, 1) == 0,
)
_fn("attention_over_map", lambda x: _attend(x.flatten(2).mT).mT.unflatten(2, (5, 4)), (1, 3, 5, 4))
_add("transformer_encoder_layer", lambda: nn.TransformerEncoderLayer(4, 2, 8, batch_first=True), (1, 8, 4))
_add("swin_block", lambda: SwinBlock(4, window=3, shift=0), (1, 4, 6, 9))
_add("swin_block_shifted", lambda: SwinBlock(4, window=3, shift=1), (1, 4, 6, 9))

# ---- harmless ops, containers, odd modules -----------------------------------------------------------------------------

_add("identity", lambda: nn.Identity(), X2)
_add("dropout", lambda: nn.Dropout(0.5), X2)
_add("dropout2d", lambda: nn.Dropout2d(0.5), X2)
_add("prelu", lambda: nn.PReLU(3), X2)
_add("glu_channels", lambda: nn.GLU(1), (1, 4, 9, 7))
_fn("glu_space", lambda x: F.glu(x, 2), (1, 3, 8, 7))
_fn("stochastic_depth", lambda x, conv: x + conv(x) * 1.0, X2, conv=lambda: nn.Conv2d(3, 3, 3, padding=1))
_fn("subtract_itself_rolled", lambda x: x - x.roll(1, 2), X2)
_fn("clamp_pow_abs", lambda x: x.clamp(min=0.1).pow(2).abs().sqrt(), X2)
_fn("maximum", lambda x: torch.maximum(x, x.roll(1, 3)), X2)
_fn("lerp_and_addcmul", lambda x: torch.addcmul(x.lerp(x.roll(1, 2), 0.3), x, x.roll(2, 3)), X2)
_fn("add_position_table", lambda x, table: x + table, X2, table=lambda: nn.Parameter(torch.rand(1, 3, 9, 7)))
_fn("channels_last", lambda x, conv: conv(x.contiguous(memory_format=torch.channels_last)), X2, conv=lambda: nn.Conv2d(3, 4, 3))
_fn("channels_last_flatten", lambda x: x.contiguous(memory_format=torch.channels_last).permute(0, 2, 3, 1).reshape(1, 63, 3), X2)
_fn("dict_output", lambda x, conv: {"out": conv(x), "raw": x[:, :, 1:]}, X2, conv=lambda: nn.Conv2d(3, 4, 3))
_fn("tuple_output", lambda x, conv: (conv(x), [x.roll(1, 2), x.flip(3)]), X2, conv=lambda: nn.Conv2d(3, 4, 3))
_fn("called_twice", lambda x, conv: conv(conv(x)), X2, conv=lambda: nn.Conv2d(3, 3, 3, padding=1))
_fn("input_returned", lambda x: x, X2)
_fn("constant_output", lambda x: torch.ones_like(x), X2)
_fn("shape_arithmetic", lambda x: x[:, :, : x.shape[2] // 2, : x.size(3) - 2], X2)
_fn("zip_loop_over_rows", lambda x: torch.stack([row * (i + 1) for i, row in enumerate(x.unbind(2))], 2), X2)
_fn("misaligned_skip", lambda x, conv: conv(x) + x[:, :, 2:, 2:], X2, conv=lambda: nn.Conv2d(3, 3, 3))
_fn(
    "inception",
    lambda x, a, b: torch.cat([a(x), b(x)], 1),
    X2,
    a=lambda: nn.Conv2d(3, 2, 3, padding=1),
    b=lambda: nn.Conv2d(3, 2, (1, 5), padding=(0, 2)),
)
_add("sequential_nested", lambda: nn.Sequential(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()), nn.MaxPool2d(2)), X2)
_add("asymmetric_unet", lambda: TinyUNet(), (1, 3, 11, 9))


# ---- modules -----------------------------------------------------------------------------------------------------------


def _grid(h: int, w: int) -> Tensor:
    """Sampling points inside the image, mirrored from left to right."""
    y, x = torch.meshgrid(torch.linspace(-0.8, 0.7, h), torch.linspace(0.9, -0.6, w), indexing="ij")
    return torch.stack([x, y], -1)[None]


def _band(n: int, reach: int) -> Tensor:
    """An additive mask: 0 within `reach` of the diagonal, -inf elsewhere."""
    at = torch.arange(n)
    return torch.zeros(n, n).masked_fill((at[:, None] - at).abs() > reach, -math.inf)


def _attend(x: Tensor) -> Tensor:
    return (x @ x.mT / math.sqrt(x.shape[-1])).softmax(-1) @ x


def _into_zeros(x: Tensor) -> Tensor:
    """Zero padding by hand."""
    y = x.new_zeros(1, 3, 11, 8)
    y[:, :, 1:-1, :-1] = x
    return y


class CausalStack(nn.Module):
    """Dilated 1-D convolutions padded on the left only, with skips."""

    def __init__(self, channels: int, dilations: tuple[int, ...]) -> None:
        super().__init__()
        self.dilations = dilations
        self.convs = nn.ModuleList(nn.Conv1d(channels, channels, 2, dilation=d) for d in dilations)

    def forward(self, x: Tensor) -> Tensor:
        """The stack."""
        for conv, d in zip(self.convs, self.dilations, strict=True):
            x = x + F.relu(conv(F.pad(x, (d, 0))))
        return x


class UnPool(nn.Module):
    """Max pooling that keeps its positions, and unpooling at them: chosen by values."""

    def forward(self, x: Tensor) -> Tensor:
        """Pool and unpool."""
        y, at = F.max_pool2d(x, 2, return_indices=True)
        return F.max_unpool2d(y, at, 2)


class CellLoop(nn.Module):
    """An LSTM cell stepped by hand."""

    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.LSTMCell(3, 4)

    def forward(self, x: Tensor) -> Tensor:
        """All hidden states."""
        h = c = x.new_zeros(x.shape[0], 4)
        steps = []
        for t in range(x.shape[1]):
            h, c = self.cell(x[:, t], (h, c))
            steps.append(h)
        return torch.stack(steps, 1)


class SqueezeExcite(nn.Module):
    """Channel gates from the pooled map."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.down, self.up = nn.Conv2d(channels, 2, 1), nn.Conv2d(2, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """The gated map."""
        return x * torch.sigmoid(self.up(F.relu(self.down(F.adaptive_avg_pool2d(x, 1)))))


class SwinBlock(nn.Module):
    """Attention in windows of the map, shifted, with a -inf mask between what the shift brought together; then the skip."""

    def __init__(self, channels: int, window: int, shift: int) -> None:
        super().__init__()
        self.window, self.shift = window, shift
        self.qkv, self.proj = nn.Linear(channels, 3 * channels), nn.Linear(channels, channels)

    def mask(self, h: int, w: int, device: torch.device) -> Tensor:
        """(windows, window², window²): -inf between positions from different parts of the image."""
        part = torch.zeros(h, w, device=device)
        cuts = (slice(0, -self.window), slice(-self.window, -self.shift), slice(-self.shift, None))
        for i, rows in enumerate(cuts):
            for j, columns in enumerate(cuts):
                part[rows, columns] = 3 * i + j
        n = self.window
        part = part.reshape(h // n, n, w // n, n).transpose(1, 2).reshape(-1, n * n)
        different = part[:, None, :] != part[:, :, None]
        return torch.zeros(different.shape, device=device).masked_fill(different, -math.inf)

    def forward(self, x: Tensor) -> Tensor:
        """The block on (B, C, H, W)."""
        n, (b, c, h, w) = self.window, x.shape
        y = x.permute(0, 2, 3, 1)
        if self.shift:
            y = y.roll((-self.shift, -self.shift), (1, 2))
        y = y.reshape(b, h // n, n, w // n, n, c).transpose(2, 3).reshape(-1, n * n, c)
        q, k, v = self.qkv(y).chunk(3, -1)
        logits = q @ k.mT / math.sqrt(c)
        if self.shift:
            logits = logits + self.mask(h, w, x.device)
        y = self.proj(logits.softmax(-1) @ v)
        y = y.reshape(b, h // n, w // n, n, n, c).transpose(2, 3).reshape(b, h, w, c)
        if self.shift:
            y = y.roll((self.shift, self.shift), (1, 2))
        return x + y.permute(0, 3, 1, 2)


class TinyUNet(nn.Module):
    """One level down and up, the skip cropped to fit."""

    def __init__(self) -> None:
        super().__init__()
        self.enter, self.deep = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3, padding=1)
        self.up, self.leave = nn.ConvTranspose2d(4, 4, 2, stride=2), nn.Conv2d(8, 2, 3)

    def forward(self, x: Tensor) -> Tensor:
        """The net."""
        skip = F.relu(self.enter(x))
        y = self.up(F.relu(self.deep(F.max_pool2d(skip, 2))))
        return self.leave(torch.cat([skip[..., : y.shape[2], : y.shape[3]], y], 1))
